"""The card of PanNuke names the official files, folds and tissues."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.pannuke.card import CARD


def test_each_fold_is_a_file_and_on_each_side_once() -> None:
    assert [(file.name, len(file.sha256)) for file in CARD.files] == [(f"fold_{n}.zip", 64) for n in (1, 2, 3)]
    assert list(CARD.official_splits) == [1, 2, 3]
    for sides in CARD.official_splits.values():
        assert sorted(sides) == ["fold1", "fold2", "fold3"] and len(set(sides.values())) == 3


@pytest.mark.real
@pytest.mark.parametrize(("fold", "count", "breast"), [(1, 2656, 827), (3, 2722, 775)])
def test_the_official_types_are_known_tissues(real_data: Path, fold: int, count: int, breast: int) -> None:
    types = np.load(real_data / f"pannuke/types/fold{fold}_types.npy")
    assert (len(types), (types == "Breast").sum()) == (count, breast)
    assert set(types) == set(CARD.groups)
