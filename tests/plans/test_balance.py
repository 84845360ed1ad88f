"""Oversampling repeats what is rare, undersampling leaves out what is common; in training only."""

import numpy as np
import pandas as pd

from pipeline.base.study_blocks import Balance
from pipeline.plans.balance import oversample, undersample
from tests.tiles.test_plan import make_plan


def test_a_tile_with_the_rare_class_is_repeated() -> None:
    plan = make_plan(12)  # the first four train
    rare, common = [0, 5, 1], [0, 5, 0]
    nuclei = np.array([rare, common, common, common] + [rare] * 8)
    balanced = oversample(plan, nuclei, Balance(method="oversample", max_copies=10))
    # All four hold class 1, one of them class 2: inverse frequency 4.
    assert balanced["index"].value_counts().loc[[0, 1, 2, 3]].tolist() == [4, 1, 1, 1]
    assert balanced[balanced["index"] == 0]["copy"].tolist() == [0, 1, 2, 3]


def test_validation_and_test_are_untouched() -> None:
    plan = make_plan(12)
    nuclei = np.array([[0, 5, 1]] + [[0, 5, 0]] * 3 + [[0, 0, 1]] * 8)
    balanced = oversample(plan, nuclei, Balance(method="oversample", max_copies=10))
    others = [frame[frame["split"] != "train"].reset_index(drop=True) for frame in (plan, balanced)]
    pd.testing.assert_frame_equal(*others)


def test_copies_are_capped() -> None:
    plan = make_plan(30)
    nuclei = np.array([[0, 5, 1]] + [[0, 5, 0]] * 29)
    balanced = oversample(plan, nuclei, Balance(method="oversample", max_copies=3))
    assert (balanced["index"] == 0).sum() == 3


def test_tiles_without_a_nucleus_stay_single() -> None:
    plan = make_plan()
    nuclei = np.array([[0, 1, 0]] + [[0, 0, 0]] * 5)
    pd.testing.assert_frame_equal(oversample(plan, nuclei, Balance(method="oversample", max_copies=3)), plan)


def test_undersampling_keeps_every_lesion_and_so_many_without() -> None:
    plan = make_plan(90)  # the first thirty train
    lesion = np.arange(90) % 10 == 0
    left = undersample(plan, lesion, 3, seed=1)
    training = left[left["split"] == "train"]["index"]
    assert len(training) == 3 + 9 and {0, 10, 20} <= set(training)
    pd.testing.assert_frame_equal(
        left[left["split"] != "train"].reset_index(drop=True), plan[30:].reset_index(drop=True)
    )
    assert set(undersample(plan, lesion, 3, seed=2)["index"]) != set(left["index"])
    assert len(undersample(plan, lesion, 100, seed=1)) == 90
