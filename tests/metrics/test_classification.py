"""Scores of classified images against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.metrics import classification

CLASSES = 3


def counts_of(truth: list[int], called: list[int]) -> np.ndarray:
    counts = np.zeros((CLASSES, CLASSES + 1))
    np.add.at(counts, (truth, called), 1)
    return counts


@given(st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES)), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    from sklearn import metrics

    truth, called = [list(column) for column in zip(*pairs, strict=True)]
    counts = counts_of(truth, called)
    assert classification.accuracy(counts) == pytest.approx(metrics.accuracy_score(truth, called))
    known = sorted(set(truth))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(truth, called, labels=known, zero_division=0)
    np.testing.assert_allclose(classification.precision(counts)[known], precision)
    np.testing.assert_allclose(classification.recall(counts)[known], recall)
    np.testing.assert_allclose(classification.f1(counts)[known], f1)


def test_no_call_is_wrong_but_lowers_no_precision() -> None:
    counts = counts_of([0, 0, 1, 2], [0, CLASSES, 1, 2])
    assert classification.accuracy(counts) == 0.75
    assert classification.recall(counts).tolist() == [0.5, 1, 1]
    assert classification.precision(counts).tolist() == [1, 1, 1]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=2, max_size=20))
@settings(max_examples=50, deadline=None)
def test_the_area_under_the_curve_is_that_of_scikit_learn(rows: list[tuple[int, bool, int]]) -> None:
    from sklearn import metrics

    scores, positive, weights = (np.array(column) for column in zip(*rows, strict=True))
    found = float(classification.roc_auc(scores.astype(float), positive, weights.astype(float)))
    if not weights[positive].any() or not weights[~positive].any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(metrics.roc_auc_score(positive, scores, sample_weight=weights))


def test_the_curve_ends_in_its_corners_and_has_the_area() -> None:
    scores, positive = np.array([0.9, 0.7, 0.7, 0.2, 0.1]), np.array([True, False, True, True, False])
    false, true = classification.roc_curve(scores, positive)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true, false) == pytest.approx(float(classification.roc_auc(scores, positive)))
