import numpy as np
import pytest

from pipeline.metrics.votes import NO_CALL, Found, Side, call, share, table, vote

CLASSES = ["normal", "benign", "invasive"]


def side(votes: list[list[float]], truth: list[int], units: list[str], found: Found | None = None) -> Side:
    return Side(np.array(truth), np.array(votes, float), units, CLASSES, found, seed=1)


def test_detections_vote_with_their_scores() -> None:
    votes = vote(np.array([0, 2, 2, 0]), np.array([0.9, 0.4, 0.4, 0.1]), 3)
    np.testing.assert_allclose(votes, [1.0, 0, 0.8])
    assert vote(np.array([], np.int64), np.array([]), 3).tolist() == [0, 0, 0]


def test_the_most_votes_win_and_no_vote_is_no_call() -> None:
    assert call(np.array([[0.2, 0.5, 0.1], [0, 0, 0], [1, 1, 0]])).tolist() == [1, NO_CALL, 0]
    assert share(np.array([[1.0, 3, 0], [0, 0, 0]])).tolist() == [[0.25, 0.75, 0], [0, 0, 0]]


def test_an_image_without_a_call_is_wrong() -> None:
    figures = side([[1, 0, 0], [0, 0, 0], [0, 2, 0], [0, 0, 1]], [0, 0, 1, 2], ["", "", "", ""]).figures()
    assert figures["accuracy"].value == 0.75
    assert figures["no_call"].value == 0.25
    assert figures["recall_normal"].value == 0.5
    assert figures["precision"].value == 1
    assert figures["roc_auc_benign"].value == 1
    assert figures["accuracy"].low < 0.75 < figures["accuracy"].high
    assert "ap50" not in figures


def test_images_of_a_patient_are_resampled_together() -> None:
    votes = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert side(votes, [0, 1, 2, 2], ["a", "a", "", "b"]).units == 3
    one = side(votes, [0, 1, 2, 2], ["a"] * 4).figures()["accuracy"]
    assert np.isnan(one.low)  # one patient says nothing of others


def test_a_resample_without_a_class_has_no_mean_over_classes() -> None:
    # Of two patients, each with a class of his own, only resamples with both have a mean: it is always 1/2.
    figures = side([[1, 0, 0], [1, 0, 0]], [0, 1], ["a", "b"]).figures()
    recall, one = figures["recall"], figures["recall_normal"]
    assert (recall.low, recall.value, recall.high) == (0.5, 0.5, 0.5)
    assert (one.low, one.value, one.high) == (1, 1, 1)
    assert figures["accuracy"].low == 0


def test_average_precision_is_counted_by_class_and_threshold() -> None:
    right = np.zeros((3, 10), bool)
    right[0] = True  # right at every IoU
    right[2, 0] = True  # right at 0.5 alone
    nuclei = np.array([[1.0, 0, 0], [0, 2, 0]])
    found = Found(np.array([0, 0, 1]), np.array([0, 1, 1]), right, nuclei)
    figures = side([[1, 0, 0], [0, 1, 0]], [0, 1], ["a", "b"], found).figures()
    assert figures["ap50_normal"].value == 1
    assert figures["ap_normal"].value == pytest.approx(1)
    assert figures["ap50_benign"].value == pytest.approx(0.5 * 51 / 101)  # one of two found, after one that is wrong
    assert figures["ap_benign"].value == pytest.approx(0.05 * 51 / 101)
    assert np.isnan(figures["ap50_invasive"].value)
    assert figures["ap50"].value == pytest.approx((1 + 0.5 * 51 / 101) / 2)


def test_every_vote_is_written_down() -> None:
    rows = table(np.array([0, 2]), np.array([[1, 0.5, 0], [0, 0, 0]]), np.array([3, 4]), np.array([2, 0]), CLASSES)
    assert rows["call"].tolist() == ["normal", "no call"]
    assert rows["truth"].tolist() == ["normal", "invasive"]
    assert rows.loc[0, ["nuclei", "detections", "vote_normal", "vote_benign"]].tolist() == [3, 2, 1, 0.5]
