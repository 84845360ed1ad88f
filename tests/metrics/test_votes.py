import numpy as np
import pandas as pd
import pytest

from pipeline.metrics.votes import NO_CALL, RIGHT, Figure, Found, Side, call, pooled, share, table, vote

CLASSES = ["normal", "benign", "invasive"]


def side(votes: list[list[float]], truth: list[int], found: Found | None = None) -> Side:
    return Side(np.array(truth), np.array(votes, float), CLASSES, found)


def figures(
    votes: list[list[float]], truth: list[int], units: list[str], found: Found | None = None
) -> dict[str, Figure]:
    """Those of one training."""
    return pooled([side(votes, truth, found)], [units], seed=1)


def test_detections_vote_with_their_scores() -> None:
    votes = vote(np.array([0, 2, 2, 0]), np.array([0.9, 0.4, 0.4, 0.1]), 3)
    np.testing.assert_allclose(votes, [1.0, 0, 0.8])
    assert vote(np.array([], np.int64), np.array([]), 3).tolist() == [0, 0, 0]


def test_the_most_votes_win_and_no_vote_is_no_call() -> None:
    assert call(np.array([[0.2, 0.5, 0.1], [0, 0, 0], [1, 1, 0]])).tolist() == [1, NO_CALL, 0]
    assert share(np.array([[1.0, 3, 0], [0, 0, 0]])).tolist() == [[0.25, 0.75, 0], [0, 0, 0]]


def test_an_image_without_a_call_is_wrong() -> None:
    images = side([[1, 0, 0], [0, 0, 0], [0, 2, 0], [0, 0, 1]], [0, 0, 1, 2])
    scores = {name: float(values[0]) for name, values in images.scores().items()}
    assert scores["accuracy"] == 0.75
    assert scores["no_call"] == 0.25
    assert scores["recall_normal"] == 0.5
    assert scores["precision"] == 1
    assert scores["roc_auc_benign"] == 1
    assert "ap50" not in scores
    assert images.confusion() == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]


def test_images_of_a_patient_are_resampled_together() -> None:
    votes = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert figures(votes, [0, 1, 2, 2], ["a", "a", "c", "b"])["accuracy"].units == 3
    one = figures(votes, [0, 1, 2, 2], ["a"] * 4)["accuracy"]
    assert np.isnan(one.low)  # one patient says nothing of others


def test_a_resample_without_a_class_has_no_mean_over_classes() -> None:
    # Of two patients, each with a class of his own, only resamples with both have a mean: it is always 1/2.
    found = figures([[1, 0, 0], [1, 0, 0]], [0, 1], ["a", "b"])
    recall, one = found["recall"], found["recall_normal"]
    assert (recall.low, recall.value, recall.high) == (0.5, 0.5, 0.5)
    assert (one.low, one.value, one.high) == (1, 1, 1)
    assert found["accuracy"].low == 0


def test_average_precision_is_counted_by_class_and_threshold() -> None:
    right = np.zeros((3, 10), bool)
    right[0] = True  # right at every IoU
    right[2, 0] = True  # right at 0.5 alone
    nuclei = np.array([[1.0, 0, 0], [0, 2, 0]])
    found = Found(np.array([0, 0, 1]), np.array([0, 1, 1]), right, nuclei)
    scores = figures([[1, 0, 0], [0, 1, 0]], [0, 1], ["a", "b"], found)
    assert scores["ap50_normal"].value == 1
    assert scores["ap_normal"].value == pytest.approx(1)
    assert scores["ap50_benign"].value == pytest.approx(0.5 * 51 / 101)  # one of two found, after one that is wrong
    assert scores["ap_benign"].value == pytest.approx(0.05 * 51 / 101)
    assert np.isnan(scores["ap50_invasive"].value)
    assert scores["ap50"].value == pytest.approx((1 + 0.5 * 51 / 101) / 2)


def test_every_vote_is_written_down() -> None:
    nuclei = np.array([[2.0, 1, 0], [0, 0, 4]])
    rows = table(np.array([0, 2]), np.array([[1, 0.5, 0], [0, 0, 0]]), nuclei, np.array([2, 0]), CLASSES)
    assert rows["call"].tolist() == ["normal", "no call"]
    assert rows["truth"].tolist() == ["normal", "invasive"]
    assert rows.loc[0, ["nuclei", "detections", "vote_normal", "vote_benign"]].tolist() == [3, 2, 1, 0.5]
    assert rows.loc[1, ["nuclei", "nuclei_normal", "nuclei_invasive"]].tolist() == [4, 0, 4]


def test_detections_are_ordered_by_score_and_draws_keep_their_order() -> None:
    rows = pd.DataFrame({"image": [0, 1, 2], "label": [0, 1, 2], "score": [0.5, 0.9, 0.5], **dict.fromkeys(RIGHT, 1)})
    assert Found.of(rows, np.ones((3, 3))).image.tolist() == [1, 0, 2]


def test_a_figure_is_the_mean_of_the_trainings() -> None:
    truth, names = [0, 0, 1, 1], ["a", "b", "c", "d"]
    right = side([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], truth)
    half = side([[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]], truth)
    both = pooled([right, half], [names, names], seed=1)["accuracy"]
    assert both.value == 0.75
    assert both.sd == pytest.approx(0.5 / np.sqrt(2))
    assert pooled([right], [names], seed=1)["accuracy"].sd is None


def test_a_patient_is_drawn_for_all_trainings_together() -> None:
    # What one training gets right the other gets wrong, so that only separate draws could differ from 1/2.
    truth, names = [0, 0], ["a", "b"]
    first, second = side([[1, 0, 0], [0, 1, 0]], truth), side([[0, 1, 0], [1, 0, 0]], truth)
    found = pooled([first, second], [names, names], seed=1)["accuracy"]
    assert (found.low, found.value, found.high, found.units) == (0.5, 0.5, 0.5, 2)


def test_a_training_without_a_class_is_left_out_of_its_mean() -> None:
    first, second = side([[1, 0, 0], [0, 1, 0]], [0, 1]), side([[1, 0, 0], [1, 0, 0]], [0, 0])
    found = pooled([first, second], [["a", "b"], ["c", "d"]], seed=1)
    assert found["recall_benign"].value == 1
    assert found["accuracy"].units == 4
