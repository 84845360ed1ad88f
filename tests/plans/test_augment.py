"""Augmentation multiplies the training rows, and them alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.base.study_blocks import Augment
from pipeline.plans.augment import augment
from pipeline.tiles.transforms import IDENTITY, NAMED
from tests.tiles.test_plan import make_plan

RIGHT = ["rotate90", "rotate180", "rotate270", "flip_horizontal", "flip_vertical"]


def settings(factor: int | dict[str, float], original: bool = True, transforms: list[str] = RIGHT) -> Augment:
    return Augment(factor=factor, original=original, transforms=transforms, online=None)


PAPER = settings(3)


def test_the_papers_2351_tiles_become_7053() -> None:
    plan = make_plan(2351, split="train")
    augmented = augment(plan, PAPER, seed=42)
    assert len(augmented) == 7053
    assert (augmented["transform"] == IDENTITY).sum() == 2351
    assert set(augmented["transform"]) == {IDENTITY, *(NAMED[name] for name in RIGHT)}


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_no_row_is_drawn_twice(factor: int, seed: int) -> None:
    augmented = augment(make_plan(12), settings(factor), seed)
    training = augmented[augmented["split"] == "train"]
    assert len(training) == 4 * factor
    assert not training.duplicated(["index", "transform"]).any()
    assert not augmented.duplicated(["index", "copy"]).any()


def test_validation_and_test_are_untouched() -> None:
    plan = make_plan(12)
    augmented = augment(plan, PAPER, seed=0)
    others = [frame[frame["split"] != "train"].reset_index(drop=True) for frame in (plan, augmented)]
    pd.testing.assert_frame_equal(*others)


@pytest.mark.parametrize("other", [0, 1])
def test_the_seed_decides(other: int) -> None:
    plans = [augment(make_plan(30), PAPER, seed)["transform"] for seed in (0, other)]
    assert plans[0].equals(plans[1]) == (other == 0)


def test_every_transform_is_drawn_about_as_often() -> None:
    augmented = augment(make_plan(3000, split="train"), PAPER, seed=1)
    share = augmented["transform"].value_counts(normalize=True).drop(IDENTITY) / (2 / 3)
    assert np.allclose(share, 1 / len(RIGHT), atol=0.03)


def test_rows_that_balancing_repeated_are_augmented_each() -> None:
    plan = make_plan(2, split="train", index=0, copy=[0, 1])
    augmented = augment(plan, PAPER, seed=3)
    assert augmented["copy"].tolist() == list(range(6))


def test_copies_that_are_made_with_a_probability_enlarge_the_training_part_by_it() -> None:
    halves = settings(2, transforms=["flip_horizontal", "flip_vertical"]).model_copy(update={"probability": 0.5})
    augmented = augment(make_plan(3000), halves, seed=0)
    training = augmented[augmented["split"] == "train"]
    assert (training["transform"] == IDENTITY).sum() == 1000
    assert (training["transform"] != IDENTITY).sum() == pytest.approx(500, abs=50)
    assert (augmented["split"] != "train").sum() == 2000


def test_algorithm_1_makes_165_rows_of_55_without_the_originals() -> None:
    plan = pd.concat([make_plan(55, split="train"), make_plan(25, split="test", shard="other")], ignore_index=True)
    augmented = augment(plan, settings(3, False, ["flip_horizontal", "flip_vertical", "rotate45"]), seed=42)
    training = augmented[augmented["split"] == "train"]
    assert len(training) == 165
    recipes = {NAMED[name] for name in ("flip_horizontal", "flip_vertical", "rotate45")}
    assert training.groupby("index")["transform"].agg(set).map(recipes.__eq__).all()
    assert set(training["copy"]) == {1, 2, 3}
    rest = augmented[augmented["split"] == "test"]
    assert len(rest) == 25 and set(rest["transform"]) == {IDENTITY} and set(rest["copy"]) == {0}


def shards_of_bach() -> pd.DataFrame:
    """80 training tiles and 20 test tiles of each class, which has a shard of its own."""
    names = ("normal", "benign", "insitu", "invasive")
    parts = [make_plan(100, shard=shard, split=["train"] * 80 + ["test"] * 20) for shard in names]
    return pd.concat(parts, ignore_index=True)


def test_each_class_of_bach_has_its_own_factor_by_the_name_of_the_class() -> None:
    factors = {"normal": 4, "benign": 4, "in_situ": 2.025, "invasive": 4}
    augmented = augment(shards_of_bach(), settings(factors), seed=42)
    training = augmented[augmented["split"] == "train"]
    assert training["shard"].value_counts().to_dict() == {"normal": 320, "benign": 320, "insitu": 162, "invasive": 320}
    assert not training.duplicated(["shard", "index", "transform"]).any()
    assert training.groupby(["shard", "index"]).size()["insitu"].value_counts().to_dict() == {2: 78, 3: 2}
    rest = augmented[augmented["split"] == "test"]
    assert len(rest) == 80 and set(rest["transform"]) == {IDENTITY}


def test_a_class_without_a_factor_is_named() -> None:
    factors = {"normal": 4, "benign": 4, "in_situ": 2}
    with pytest.raises(Problem, match=r"names normal, .*, in_situ, but the tiles have a class invasive; name it"):
        augment(shards_of_bach(), settings(factors), seed=42)
