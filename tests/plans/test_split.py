"""Every tile lands on one side, by the rule that the study names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.base.study import Study, read_study
from pipeline.base.study_blocks import Split
from pipeline.datasets.monuseg.card import ORGAN_OF
from pipeline.plans.split import (
    BLOCKS,
    list_tiles,
    split_block,
    split_dataset,
    split_group,
    split_image,
    split_official,
    split_random,
    split_stratified,
)
from pipeline.tiles.plan import check_plan, parted
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.tiles.test_plan import make_plan

ROOT = Path(__file__).parents[2]
STUDY = read_study("pannuke", ROOT)
NUCLEI = read_study("tnbc", ROOT)
Splitter = Callable[[pd.DataFrame, Study, int, int], pd.DataFrame]


@pytest.mark.parametrize(("run", "trains"), [(1, "fold1"), (2, "fold2"), (3, "fold3")])
def test_the_official_rotation(run: int, trains: str) -> None:
    tiles = make_plan(3, shard=["fold1", "fold2", "fold3"], group="Breast")
    plan = split_official(tiles, STUDY, run, seed=0)
    assert plan.loc[plan["split"] == "train", "shard"].tolist() == [trains]
    assert sorted(plan["split"]) == ["test", "train", "validation"]


def test_a_run_that_the_official_split_does_not_have_is_refused() -> None:
    tiles = make_plan(3, shard=["fold1", "fold2", "fold3"], group="Breast")
    with pytest.raises(Problem, match=r"the official split of pannuke has no run 4, but 1, 2, 3; correct runs in "):
        split_official(tiles, STUDY, 4, seed=0)


def test_an_official_split_may_name_groups_of_tiles() -> None:
    study = STUDY.model_copy(update={"datasets": ["bcss"]})
    tiles = make_plan(4, dataset="bcss", shard="TCGA-somewhere", group=["A2", "BH", "OL", "S3"])
    assert split_official(tiles, study, 1, seed=0)["split"].tolist() == ["train", "validation", "test", "test"]
    with pytest.raises(Problem, match="the official split of bcss does not name TCGA-somewhere; leave it out"):
        split_official(tiles.assign(group="ZZ"), study, 1, seed=0)


@given(st.integers(2, 25), st.integers(0, 1000))
def test_a_stratified_split_gives_each_class_its_shares(patients: int, seed: int) -> None:
    study = STUDY.model_copy(update={"split": Split(by="stratified", fractions=[0.8, 0, 0.2])})
    classes = ["Normal", "Benign", "InSitu", "Invasive"]
    tiles = make_plan(16 * patients, patient=[f"p{i // 4}" for i in range(16 * patients)])
    tiles["group"] = np.repeat(classes, 4 * patients)
    plan = split_stratified(tiles, study, 1, seed)
    check_plan(plan)
    assert not (plan["split"] == "validation").any()
    for name in classes:
        held_out = (plan.loc[plan["group"] == name, "split"] == "test").mean()
        assert abs(held_out - 0.2) <= 1 / patients


def test_a_patient_in_two_classes_stays_on_one_side() -> None:
    study = STUDY.model_copy(update={"split": Split(by="stratified", fractions=[0.5, 0, 0.5])})
    tiles = make_plan(40, patient=[f"p{i % 10}" for i in range(40)], group=[*("a" * 20), *("b" * 20)])
    plan = split_stratified(tiles, study, 1, seed=3)
    check_plan(plan)
    assert (plan["split"] == "test").sum() == 20


def test_the_official_split_of_slides_is_their_tiles_group() -> None:
    study = STUDY.model_copy(update={"datasets": ["bracs"]})
    slides, groups = ["BRACS_1", "BRACS_2", "BRACS_3"], ["validation", "test", "train"]
    tiles = make_plan(3, dataset="bracs", shard=slides, group=groups)
    assert split_official(tiles, study, 1, seed=0)["split"].tolist() == groups
    with pytest.raises(Problem, match="official split of bracs does not name BRACS_2"):
        split_official(tiles.assign(group=["train", "", "test"]), study, 1, seed=0)


def nuclei_tiles() -> pd.DataFrame:
    """Four images of each patient of TNBC, two of MoNuSeg's 30 and one that came later."""
    patients = [f"{number:02}" for number in range(1, 12) for _ in range(4)]
    slides = [*sorted(ORGAN_OF)[:2], "TCGA-ZZ-0000-01Z-00-DX1"]
    return make_plan(
        len(patients) + 3,
        dataset=["tnbc"] * len(patients) + ["monuseg"] * 3,
        shard=[f"patient{number}" for number in patients] + slides,
        index=[i % 4 for i in range(len(patients))] + [0, 0, 0],
        patient=patients + [name[:12] for name in slides],
        slide=[""] * len(patients) + slides,
        group="",
    )


def test_monuseg_trains_and_its_later_images_are_left_out() -> None:
    plan = split_official(nuclei_tiles(), NUCLEI, 1, seed=0)
    check_plan(plan)
    assert len(plan) == 46 and "TCGA-ZZ-0000" not in set(plan["patient"])
    assert set(plan.loc[plan["dataset"] == "monuseg", "split"]) == {"train"}
    assert set(plan.loc[plan["split"] == "test", "patient"]) == {"02", "03", "05", "06", "07", "08", "11"}


@given(st.integers(0, 1000))
def test_a_split_by_image_deals_out_tnbc_and_parts_its_patients(seed: int) -> None:
    plan = split_image(nuclei_tiles(), NUCLEI, 1, seed)
    assert set(plan.loc[plan["dataset"] == "monuseg", "split"]) == {"train"}
    images = plan[plan["dataset"] == "tnbc"]
    assert images["split"].value_counts().to_dict() == {"train": 22, "test": 22}
    check_plan(plan, leaky=True)
    assert parted(plan)["patient"]


@given(st.integers(10, 200), st.integers(0, 1000))
def test_random_shares_are_kept_to_a_tile(count: int, seed: int) -> None:
    study = STUDY.model_copy(update={"split": Split(by="random", fractions=[0.6, 0.2, 0.2])})
    sizes = split_random(make_plan(count), study, 1, seed)["split"].value_counts()
    for side, share in zip(("train", "validation", "test"), (0.6, 0.2, 0.2), strict=True):
        assert abs(sizes[side] - share * count) <= 1


@given(st.lists(st.integers(0, 9), min_size=20, max_size=60), st.integers(0, 1000))
def test_a_patient_stays_on_one_side(patients: list[int], seed: int) -> None:
    tiles = make_plan(len(patients), patient=[f"p{number}" for number in patients])
    check_plan(split_group(tiles, STUDY, 1, seed))


def test_a_slide_stands_for_an_unknown_patient() -> None:
    tiles = make_plan(40, slide=[f"s{i // 4}" for i in range(40)])
    plan = split_group(tiles, STUDY, 1, seed=1)
    assert set(plan["split"]) == {"train", "validation", "test"}
    check_plan(plan)


def test_a_tcga_patient_of_two_data_sets_stays_on_one_side() -> None:
    slides = [f"TCGA-A7-A1{i // 4:02}-01Z-00-DX1" for i in range(40)]
    tiles = make_plan(40, slide=slides, dataset=["bcss", "monuseg"] * 20)
    check_plan(split_group(tiles, STUDY, 1, seed=1))


def test_grouping_without_groups_is_refused() -> None:
    with pytest.raises(Problem, match="neither patient nor slide"):
        split_group(make_plan(), STUDY, 1, seed=0)


@pytest.mark.parametrize("splitter", [split_random, split_group])
def test_seed_and_run_decide(splitter: Splitter) -> None:
    tiles = make_plan(50, patient=[f"p{i}" for i in range(50)])
    first, again, *others = (
        splitter(tiles, STUDY, run, seed)["split"].tolist() for run, seed in ((1, 1), (1, 1), (1, 2), (2, 1))
    )
    assert first == again
    assert first not in others


def write_shard(folder: Path, tissues: list[str], classes: list[str]) -> None:
    info = ShardInfo("pannuke", tuple(classes), 0.25, 40, "sample", "0" * 64, "none: drawn tiles", "", "")
    blank = np.zeros((32, 32), np.uint8)
    with ShardWriter(folder / "data/tiles/pannuke/fold1.h5", len(tissues), 32, info) as writer:
        for index, tissue in enumerate(tissues):
            writer.add(Tile(np.zeros((32, 32, 3), np.uint8), blank, blank.astype(np.int32), {}, index, group=tissue))


def test_only_the_studys_group_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shard(tmp_path, ["Colon", "Breast", "Breast"], STUDY.classes)
    monkeypatch.chdir(tmp_path)
    assert list_tiles("pannuke", STUDY)["index"].tolist() == [1, 2]


def test_a_store_without_the_group_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shard(tmp_path, ["Colon"], STUDY.classes)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match="no tile of group Breast"):
        list_tiles("pannuke", STUDY)


def test_other_classes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shard(tmp_path, ["Breast"], ["background", "nucleus"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match="has the classes"):
        list_tiles("pannuke", STUDY)
    aiming = STUDY.model_copy(update={"target": "nucleus", "classes": ["background", "nucleus"]})
    assert len(list_tiles("pannuke", aiming)) == 1


@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 1000))
def test_one_slide_is_dealt_out_in_blocks(columns: int, rows: int, seed: int) -> None:
    study = STUDY.model_copy(update={"split": Split(by="block", fractions=[0.6, 0, 0.4])})
    tiles = make_plan(columns * rows, slide="a", x=[50 + 256 * (i % columns) for i in range(columns * rows)])
    tiles["y"] = [256 * (i // columns) for i in range(columns * rows)]
    plan = split_block(tiles, study, 1, seed)
    check_plan(plan, leaky=True)
    assert set(plan["split"]) == {"train", "test"} and parted(plan)["slide"]
    across, down = (np.arange(count) * BLOCKS * 256 // (256 * (count - 1) + 1) for count in (columns, rows))
    block = [(across[i % columns], down[i // columns]) for i in range(columns * rows)]
    assert pd.DataFrame({"block": block, "split": plan["split"]}).groupby("block")["split"].nunique().eq(1).all()
    largest = max(block.count(each) for each in set(block))
    assert abs((plan["split"] == "test").mean() * len(plan) - 0.4 * len(plan)) <= largest


@given(st.integers(3, 12), st.floats(0, 0.5), st.integers(0, 1000))
def test_another_data_set_tests(patients: int, share: float, seed: int) -> None:
    split = Split(by="dataset", fractions=[1 - share, share, 0])
    study = STUDY.model_copy(update={"datasets": ["a", "b"], "split": split})
    count = 8 * patients
    tiles = make_plan(count, dataset=["a"] * (count // 2) + ["b"] * (count // 2), slide=[i // 4 for i in range(count)])
    tiles["slide"] = tiles["slide"].astype(str)
    plan = split_dataset(tiles, study, 1, seed)
    check_plan(plan)
    assert (plan["split"] == "test").equals(plan["dataset"] == "b")
    held = (plan["split"] == "validation").sum()
    assert abs(held - share * count / 2) <= 4
