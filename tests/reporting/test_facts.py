"""What a report says of its parameters and machine."""

from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline.base.params import read_params
from pipeline.base.study import read_study
from pipeline.reporting import facts
from pipeline.tiles.plan import COLUMNS, write_plan

ROOT = Path(__file__).parents[2]


def test_a_machine_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert facts.machine()["commit"] == "none"


def test_parameters_are_printed_as_their_files_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = YAML(typ="safe").load(facts.as_yaml(read_params(), read_study("tnbc")))
    own = YAML(typ="safe").load(Path("studies/tnbc/params.yaml").read_text())
    del own["readers"]  # what the data sets say themselves
    shown = {key: value for key, value in found["tnbc"].items() if key in own}
    assert {key: shown[key] for key in ("target", "runs", "compare", "model", "instances")} == {
        key: own[key] for key in ("target", "runs", "compare", "model", "instances")
    }
    assert shown.keys() == own.keys() and list(found["datasets"]) == ["tnbc", "monuseg"]
    assert "encoder" not in found and "encoder" in facts.as_yaml(read_params(), read_study("pannuke"))


def test_tiles_of_larger_images_are_counted_and_whole_images_are_not(tmp_path: Path) -> None:
    def write(*rows: tuple[str, str]) -> None:
        """Rows of a slide and a split."""
        table = [["mine", "part001", n, "", slide, n, 0, 0.25, split, 0, "{}"] for n, (slide, split) in enumerate(rows)]
        write_plan(pd.DataFrame(table, columns=list(COLUMNS)), tmp_path / "split.csv")

    whole = [("a", "test"), ("b", "train"), ("", "test"), ("", "test")]
    write(*whole)
    assert facts.cut_images(tmp_path) == {"tiles": 0, "images": 0}
    write(*whole, ("c", "test"), ("c", "test"), ("d", "train"), ("d", "train"), *[("e", "test")] * 3)
    assert facts.cut_images(tmp_path) == {"tiles": 5, "images": 2}


def test_tiles_of_all_slides_are_accounted_for_and_other_data_have_no_slides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("slides/a.1.h5", "slides/b.h5", "masks/part001.h5"):
        (tmp_path / "data/tiles" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data/tiles" / path).touch()
    (tmp_path / "data/tiles/slides/a.1.csv").write_text("slide,state\na.1,lesion\na.1,glass\n")
    (tmp_path / "data/tiles/slides/b.csv").write_text("slide,state\nb,background\nb,not annotated\n")
    found = facts.cut_slides(["slides", "masks"])
    assert found.keys() == {"slides"} and found["slides"].startswith("4 tiles on the grid = 1 kept with an outline")
    assert " + 2 left out as glass (RGB" in found["slides"] and " + 1 left out where nothing counts" in found["slides"]
