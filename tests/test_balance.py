"""Oversampling repeats what is rare, in training only."""

import pandas as pd

from pipeline.balance import oversample
from pipeline.params import Balance
from pipeline.plan import TILE
from tests.test_plan import make_plan


def nuclei_of(plan: pd.DataFrame, rows: list[list[int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, index=pd.MultiIndex.from_frame(plan[TILE]))


def test_a_tile_with_the_rare_class_is_repeated() -> None:
    plan = make_plan(12)  # the first four train
    rare, common = [0, 5, 1], [0, 5, 0]
    nuclei = nuclei_of(plan, [rare, common, common, common] + [rare] * 8)
    balanced = oversample(plan, nuclei, Balance(method="oversample", max_copies=10))
    # All four hold class 1, one of them class 2: inverse frequency 4.
    assert balanced["index"].value_counts().loc[[0, 1, 2, 3]].tolist() == [4, 1, 1, 1]
    assert balanced[balanced["index"] == 0]["copy"].tolist() == [0, 1, 2, 3]


def test_validation_and_test_are_untouched() -> None:
    plan = make_plan(12)
    nuclei = nuclei_of(plan, [[0, 5, 1]] + [[0, 5, 0]] * 3 + [[0, 0, 1]] * 8)
    balanced = oversample(plan, nuclei, Balance(method="oversample", max_copies=10))
    others = [frame[frame["split"] != "train"].reset_index(drop=True) for frame in (plan, balanced)]
    pd.testing.assert_frame_equal(*others)


def test_copies_are_capped() -> None:
    plan = make_plan(30)
    nuclei = nuclei_of(plan, [[0, 5, 1]] + [[0, 5, 0]] * 29)
    balanced = oversample(plan, nuclei, Balance(method="oversample", max_copies=3))
    assert (balanced["index"] == 0).sum() == 3


def test_tiles_without_a_nucleus_stay_single() -> None:
    plan = make_plan()
    nuclei = nuclei_of(plan, [[0, 1, 0]] * 6).iloc[:1]
    balanced = oversample(plan, nuclei, Balance(method="oversample", max_copies=3))
    pd.testing.assert_frame_equal(balanced, plan)
