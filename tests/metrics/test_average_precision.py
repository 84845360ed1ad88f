"""Average precision against the definition written out, detection by detection and recall by recall."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.metrics.average_precision import THRESHOLDS, average_precision, match


def slow_match(iou: list[list[float]], threshold: float) -> list[bool]:
    """Each detection in turn takes the best truth that no earlier one has taken; of equals the last."""
    taken: set[int] = set()
    right = []
    for row in iou:
        best, best_iou = None, threshold
        for truth, value in enumerate(row):
            if truth not in taken and value >= best_iou:
                best, best_iou = truth, value
        if best is not None:
            taken.add(best)
        right.append(best is not None)
    return right


def slow_average_precision(right: list[bool], truths: int) -> float:
    """At each of 101 recalls the highest precision of any shorter or longer list that reaches it."""
    points = []
    for length in range(1, len(right) + 1):
        found = sum(right[:length])
        points.append((found / truths, found / length))
    reached = [[precision for recall, precision in points if recall >= step / 100 - 1e-12] for step in range(101)]
    return sum(max(values, default=0.0) for values in reached) / 101


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 10_000))
def test_detections_take_truths_as_the_definition_says(detections: int, truths: int, seed: int) -> None:
    iou = np.random.default_rng(seed).integers(0, 20, (detections, truths)) / 20
    found = match(iou)
    assert found.shape == (detections, len(THRESHOLDS))
    for place, threshold in enumerate(THRESHOLDS):
        assert found[:, place].tolist() == slow_match(iou.tolist(), min(threshold, 1 - 1e-10))


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 10))
@settings(max_examples=200)
def test_the_area_is_that_of_the_definition(right: list[bool], missed: int) -> None:
    truths = sum(right) + missed
    found = average_precision(np.array(right, bool), truths)
    if truths:
        assert found == pytest.approx(slow_average_precision(right, truths))
    else:
        assert np.isnan(found)


def test_all_found_is_1_and_nothing_found_is_0() -> None:
    assert average_precision(np.ones(3, bool), 3) == 1
    assert average_precision(np.zeros(0, bool), 3) == 0
    assert average_precision(np.array([False, True]), 1) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=12), st.integers(0, 3))
def test_a_weight_counts_a_detection_as_often(rows: list[tuple[bool, int]], missed: int) -> None:
    right = np.array([hit for hit, _ in rows])
    weights = np.array([weight for _, weight in rows], float)
    truths = float((right * weights).sum() + missed)
    if not truths:
        return
    # a detection that counts twice stands in the list at once, so that precision is read after both
    found = average_precision(right, truths, weights)
    points = []
    for length in range(1, len(rows) + 1):
        given_so_far = weights[:length].sum()
        hits = (right * weights)[:length].sum()
        points.append((hits / truths, hits / given_so_far if given_so_far else 0.0))
    reached = [[p for r, p in points if r >= step / 100 - 1e-12] for step in range(101)]
    assert found == pytest.approx(sum(max(values, default=0.0) for values in reached) / 101)
