"""`split` writes every tile of the study once, or says what its data lacks."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.base.errors import Problem
from pipeline.stages import split
from pipeline.tiles.plan import read_plan
from tests.tiny_study import make_tiny_study, set_params

PLAN = Path("data/plans/tiny/run2/split.csv")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny study, in the working directory."""
    make_tiny_study(tmp_path, runs=[1, 2])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["split", "tiny", "--run", "2"])
    return tmp_path


def test_every_tile_stands_once_on_the_side_of_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split.main()
    plan = read_plan(PLAN)
    assert len(plan) == 24 and not plan.duplicated(["shard", "index"]).any()
    sides = plan.groupby("split")["shard"].agg(lambda names: " ".join(sorted(set(names))))
    assert sides.to_dict() == {"train": "fold2", "validation": "fold1", "test": "fold3"}
    assert capsys.readouterr().out.splitlines() == [
        "8 tiles train, 8 tiles validation, 8 tiles test",
        "No patient is known for 24 of 24 tiles of pannuke, nor a slide: a patient may be on two sides of the split.",
    ]


def test_seed_and_run_decide_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dealt(run: str = "2", seed: int = 42) -> bytes:
        set_params(folder, split__by="random")
        text = Path("params.yaml").read_text()
        Path("params.yaml").write_text(text.replace("\nseed: 42", f"\nseed: {seed}"))
        monkeypatch.setattr(sys, "argv", ["split", "tiny", "--run", run])
        split.main()
        return Path(f"data/plans/tiny/run{run}/split.csv").read_bytes()

    assert dealt() == dealt()
    assert len({dealt(), dealt(run="1"), dealt(seed=43)}) == 3


def test_a_study_may_do_without_validation_and_not_without_a_test_part(folder: Path) -> None:
    set_params(folder, split__by="random", split__fractions=[0.5, 0, 0.5])
    split.main()
    assert read_plan(PLAN)["split"].value_counts().to_dict() == {"train": 12, "test": 12}
    set_params(folder, split__by="random", split__fractions=[0.5, 0.5, 0])
    with pytest.raises(Problem, match=r"the random split of tiny leaves no tile to test; .*studies/tiny/params\.yaml"):
        split.main()


def test_a_validation_part_that_was_asked_for_is_not_left_empty(folder: Path) -> None:
    set_params(folder, split__by="random", split__fractions=[0.499, 0.001, 0.5])
    with pytest.raises(
        Problem, match=r"leaves no tile to validation, which is to have 0\.001 of 24; .* to 0 in the mid"
    ):
        split.main()
    assert not PLAN.exists()


def test_a_split_that_leaks_is_not_written_unless_it_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_slide(dataset: str, study: object) -> pd.DataFrame:
        return listed(dataset, study).assign(slide="one")

    listed = split.list_tiles
    monkeypatch.setattr(split, "list_tiles", one_slide)
    set_params(folder, split__by="random")
    with pytest.raises(Problem, match="puts slide pannuke one on two sides"):
        split.main()
    assert not PLAN.exists()
    set_params(folder, split__by="tile")
    split.main()
    assert set(read_plan(PLAN)["split"]) == {"train", "validation", "test"}
