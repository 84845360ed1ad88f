"""Plans survive their file, and a plan that leaks is refused."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.base.errors import Problem
from pipeline.tiles.plan import COLUMNS, check_plan, parted, read_plan, write_plan


def make_plan(rows: int = 6, **columns: object) -> pd.DataFrame:
    """A plan of `rows` tiles, two a side, changed by `columns`."""
    sides = [("train", "validation", "test")[i * 3 // rows] for i in range(rows)]
    plan = pd.DataFrame(
        {
            "dataset": "pannuke",
            "shard": "fold1",
            "index": range(rows),
            "patient": "",
            "slide": "",
            "x": 0,
            "y": 0,
            "microns_per_pixel": 0.25,
            "split": sides,
            "copy": 0,
            "transform": "{}",
        }
    )
    return plan.assign(**columns)


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = make_plan(transform='{"flip": "horizontal"}', patient=[*"aabbcc"], slide=[*"001122"])
    write_plan(plan, tmp_path / "plan.csv")
    pd.testing.assert_frame_equal(read_plan(tmp_path / "plan.csv"), plan.astype(COLUMNS), check_dtype=False)


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write_plan(make_plan(), tmp_path / name)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize(
    "leak",
    [{"index": [0, 1, 2, 3, 4, 0]}, {"patient": [*"aabbca"]}, {"slide": [*"001121"]}],
    ids=["tile", "patient", "slide"],
)
def test_a_leak_is_refused_and_nothing_written(tmp_path: Path, leak: dict[str, object]) -> None:
    with pytest.raises(Problem, match="on two sides of the split"):
        write_plan(make_plan(**leak), tmp_path / "plan.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_leaky_plan_may_part_patients_and_slides_but_no_tile(tmp_path: Path) -> None:
    leak = make_plan(patient=[*"aabbca"], slide=[*"001121"])
    write_plan(leak, tmp_path / "plan.csv", leaky=True)
    assert parted(read_plan(tmp_path / "plan.csv")) == {
        "slide": ["pannuke 1"],
        "patient": ["pannuke a"],
        "TCGA patient": [],
    }
    with pytest.raises(Problem, match="puts index pannuke fold1 0 on two sides"):
        check_plan(make_plan(index=[0, 1, 2, 3, 4, 0]), leaky=True)


def test_unknown_patients_are_no_leak() -> None:
    check_plan(make_plan(patient="", slide=""))


def test_the_same_patient_number_in_two_data_sets_is_no_leak() -> None:
    check_plan(make_plan(2, dataset=["tnbc", "monuseg"], patient="1", split=["train", "test"]))


def test_a_tcga_patient_in_two_data_sets_is_a_leak() -> None:
    slides = ["TCGA-A7-A13E-01Z-00-DX1", "TCGA-A7-A13E-01A-01-TS1"]
    leak = make_plan(2, dataset=["pannuke", "monuseg"], slide=slides, split=["train", "test"])
    with pytest.raises(Problem, match="TCGA patient TCGA-A7-A13E on two sides"):
        check_plan(leak)
    check_plan(leak.assign(split="train"))
    other = ["TCGA-A7-A13E-01Z-00-DX1", "TCGA-A7-A13F-01Z-00-DX1"]
    check_plan(leak.assign(slide=other))


def test_a_tcga_patient_is_known_by_patient_or_slide() -> None:
    plan = make_plan(2, dataset=["bcss", "monuseg"], patient=["tcga-a7-a13e", ""], slide=["", "TCGA-A7-A13E-01Z"])
    with pytest.raises(Problem, match="TCGA patient"):
        check_plan(plan.assign(split=["validation", "test"]))


def test_an_unknown_side_is_refused() -> None:
    with pytest.raises(Problem, match="valid"):
        check_plan(make_plan(split="valid"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("split", "side", "its columns are not dataset, shard"),
        ("fold1", "../../fold1", r"the shard '../../fold1'"),
        ("train", "training", "the side 'training'"),
        (",0,", ",-1,", "a number that none can be"),
        ("0.25", "inf", "a number that none can be"),
        ("0.25", "x", "x"),
    ],
)
def test_what_no_stage_writes_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    header = ",".join(COLUMNS)
    text = f"{header}\npannuke,fold1,0,,,0,0,0.25,train,0,{{}}\n"
    path = tmp_path / "plan.csv"
    path.write_text(text)
    assert len(read_plan(path)) == 1
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(Problem, match=rf"plan\.csv is no plan that a stage wrote \(.*{words}"):
        read_plan(path)


def test_a_missing_plan_and_a_folder_in_its_place_are_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"plan\.csv is missing; run `dvc repro`"):
        read_plan(tmp_path / "plan.csv")
    with pytest.raises(Problem, match="is no plan that a stage wrote"):
        read_plan(tmp_path)
