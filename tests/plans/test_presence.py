"""Classes that the training side lacks are told, and refused where nothing could be learnt."""

import numpy as np
import pytest

from pipeline.base.errors import Problem
from pipeline.plans.presence import check_classes
from tests.tiles.test_plan import make_plan

CLASSES = ["background", "neoplastic", "dead"]
CURE = "deal anew"
PLAN = make_plan(6, slide=[*"001122"])  # two tiles a side


def nuclei(**rows: list[int]) -> np.ndarray:
    """How many nuclei of each class the six tiles have."""
    return np.stack([rows.get(name, [0] * 6) for name in CLASSES], axis=1)


def test_a_class_that_nobody_can_learn_is_told() -> None:
    held = nuclei(neoplastic=[1, 1, 1, 0, 2, 3], dead=[0, 0, 1, 0, 2, 1])
    assert check_classes(PLAN, held, CLASSES, False, CURE) == [
        "No train tile has a nucleus of dead: 1 validation tile of 1 slide has it and 2 test tiles of 1 slide have it."
    ]
    with pytest.raises(Problem, match=r"no train tile has a nucleus of dead: .*; add images with dead, or deal anew\."):
        check_classes(PLAN, held, CLASSES, True, CURE)


def test_a_training_side_without_any_nucleus_is_refused() -> None:
    with pytest.raises(Problem, match="no train tile has a nucleus of neoplastic: 1 test tile of 1 slide has it; add"):
        check_classes(PLAN, nuclei(neoplastic=[0, 0, 0, 0, 1, 0]), CLASSES, False, CURE)


def test_data_without_nuclei_and_classes_that_nobody_has_are_nothing_to_tell() -> None:
    assert check_classes(PLAN, nuclei(), CLASSES, True, CURE) == []
    assert check_classes(PLAN, nuclei(dead=[1, 0, 0, 0, 0, 0]), CLASSES, True, CURE) == []
