"""Augmentation multiplies the training rows, and them alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.augment import augment
from pipeline.params import Augment
from pipeline.transforms import IDENTITY, NAMED
from tests.test_plan import make_plan

PAPER = Augment(factor=3, transforms=list(NAMED))


def test_the_papers_2351_tiles_become_7053() -> None:
    plan = make_plan(2351, split="train")
    augmented = augment(plan, PAPER, seed=42)
    assert len(augmented) == 7053
    assert (augmented["transform"] == IDENTITY).sum() == 2351
    assert set(augmented["transform"]) == {IDENTITY, *NAMED.values()}


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_no_row_is_drawn_twice(factor: int, seed: int) -> None:
    augmented = augment(make_plan(12), Augment(factor=factor, transforms=list(NAMED)), seed)
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
    assert np.allclose(share, 1 / len(NAMED), atol=0.03)
