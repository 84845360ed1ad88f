"""Pixel scores against a slow definition, scikit-learn, and predictions that are bad in a known way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sklearn_metrics

from pipeline.metrics import pixel

CLASSES = ("background", "round", "long", "rare")
C = len(CLASSES)
SHAPE = (3, 6, 5)  # images, height, width

truths = arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2, 3, 255]))
predictions = arrays(np.uint8, SHAPE, elements=st.integers(0, C - 1))


def counts_of(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return np.stack([pixel.confusion(one, other, C) for one, other in zip(truth, predicted, strict=True)])


def slow(truth: np.ndarray, predicted: np.ndarray, code: int) -> tuple[int, int, int]:
    """TP, FP and FN of a class, one pixel after the other."""
    right = wrong = missed = 0
    for true, guess in zip(truth.flat, predicted.flat, strict=True):
        if true != 255:
            right += true == code and guess == code
            wrong += true != code and guess == code
            missed += true == code and guess != code
    return right, wrong, missed


@given(truths, predictions)
def test_class_scores_equal_their_definition(truth: np.ndarray, predicted: np.ndarray) -> None:
    total = counts_of(truth, predicted).sum(axis=0)
    for code in range(C):
        right, wrong, missed = slow(truth, predicted, code)
        found = [function(total)[code] for function in (pixel.iou, pixel.dice, pixel.f1)]
        if right + wrong + missed == 0:
            assert np.isnan(found).all()
            assert np.isnan(pixel.precision(total)[code]) and np.isnan(pixel.recall(total)[code])
        else:
            dice = 2 * right / (2 * right + wrong + missed)
            assert found == pytest.approx([right / (right + wrong + missed), dice, dice])
            assert pixel.precision(total)[code] == pytest.approx(right / max(right + wrong, 1))
            assert pixel.recall(total)[code] == pytest.approx(right / max(right + missed, 1))


@given(truths, predictions)
def test_averages_equal_scikit_learn(truth: np.ndarray, predicted: np.ndarray) -> None:
    counted = truth != 255
    true, guess = truth[counted], predicted[counted]
    found = pixel.score(counts_of(truth, predicted), CLASSES)
    if not true.size:
        assert found["mean_iou"] is None and found["pixel_accuracy"] is None
        return
    present = sorted(set(true) | set(guess))  # scikit-learn averages over these too when told no labels
    foreground = [code for code in present if code != 0]
    assert found["pixel_accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(true, guess))
    assert found["mean_iou"] == pytest.approx(sklearn_metrics.jaccard_score(true, guess, average="macro"))
    assert found["dice_macro"] == pytest.approx(sklearn_metrics.f1_score(true, guess, average="macro", zero_division=0))
    assert found["dice_micro"] == pytest.approx(sklearn_metrics.f1_score(true, guess, average="micro"))
    for key, average in (("dice_micro_no_background", "micro"), ("dice_macro_no_background", "macro")):
        expected = (
            sklearn_metrics.f1_score(true, guess, labels=foreground, average=average, zero_division=0)
            if foreground
            else None
        )
        assert found[key] == (pytest.approx(expected) if foreground else None)


@given(truths, predictions)
def test_counts_add_up_and_images_are_scored_at_once(truth: np.ndarray, predicted: np.ndarray) -> None:
    counts = counts_of(truth, predicted)
    assert counts.dtype == np.int64
    assert (counts.sum(axis=0) == pixel.confusion(truth, predicted, C)).all()
    assert counts.sum() == (truth != 255).sum()
    for name, values in pixel.averages(counts, CLASSES).items():
        alone = [pixel.averages(one, CLASSES)[name] for one in counts]
        np.testing.assert_allclose(values, alone)


@given(truths, predictions)
def test_micro_dice_with_background_is_pixel_accuracy(truth: np.ndarray, predicted: np.ndarray) -> None:
    total = pixel.confusion(truth, predicted, C)
    np.testing.assert_allclose(pixel.dice_micro(total), pixel.pixel_accuracy(total))


@given(truths, predictions)
def test_one_vs_rest_accuracy_is_the_mean_of_every_class_against_all_others(
    truth: np.ndarray, predicted: np.ndarray
) -> None:
    truth[0, 0, 0] = 1  # one pixel at least counts
    counted = truth != 255
    of_class = [((truth == code) == (predicted == code))[counted].mean() for code in range(len(CLASSES))]
    found = pixel.averages(pixel.confusion(truth, predicted, len(CLASSES)), CLASSES)["accuracy_one_vs_rest"]
    np.testing.assert_allclose(found, np.mean(of_class))


def test_one_vs_rest_accuracy_of_21_classes_is_high_where_everything_is_wrong() -> None:
    assert pixel.one_vs_rest_accuracy(np.array(0.0), 21) == pytest.approx(0.905, abs=5e-4)


@given(truths)
def test_a_perfect_prediction_scores_one(truth: np.ndarray) -> None:
    found = pixel.score(counts_of(truth, np.where(truth == 255, 0, truth)), CLASSES)
    scores = [value for name, value in found.items() if name not in ("images", "per_class")]
    assert set(scores) <= {1.0, None}


@pytest.fixture
def half_right() -> np.ndarray:
    """One image: 8 background pixels right; of 4 `round` ones 1 found, 2 called `long`, 1 missed; no `rare`."""
    return np.array([[8, 0, 0, 0], [1, 1, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_scores_of_a_bad_prediction(half_right: np.ndarray) -> None:
    np.testing.assert_allclose(pixel.iou(half_right), [8 / 9, 1 / 4, 0, np.nan])
    np.testing.assert_allclose(pixel.dice(half_right), [16 / 17, 2 / 5, 0, np.nan])
    np.testing.assert_allclose(pixel.precision(half_right), [8 / 9, 1, 0, np.nan])
    np.testing.assert_allclose(pixel.recall(half_right), [1, 1 / 4, 0, np.nan])
    np.testing.assert_allclose(pixel.f1(half_right), [16 / 17, 2 / 5, 0, np.nan])
    found = {name: float(value) for name, value in pixel.averages(half_right, CLASSES).items()}
    assert found == pytest.approx(
        {
            "pixel_accuracy": 9 / 12,
            "accuracy_one_vs_rest": (11 + 9 + 10 + 12) / 48,
            "mean_iou": (8 / 9 + 1 / 4) / 3,
            "mean_iou_no_background": 1 / 8,
            "dice_micro": 9 / 12,
            "dice_micro_no_background": 2 / 7,  # 1 right, 4 in the truth, 3 predicted
            "dice_macro": (16 / 17 + 2 / 5) / 3,
            "dice_macro_no_background": 1 / 5,
        }
    )


def test_a_class_absent_from_both_is_left_out_and_one_absent_from_the_truth_is_not(half_right: np.ndarray) -> None:
    per_class = pixel.score(half_right[None], CLASSES)["per_class"]
    assert per_class["rare"] == dict.fromkeys(("iou", "dice", "precision", "recall", "f1")) | {"pixels": 0, "images": 0}
    assert per_class["long"]["f1"] == 0.0
    assert per_class["round"]["pixels"] == 4


def test_the_mean_of_images_weighs_images_alike() -> None:
    small_and_right = np.diag([1, 1, 0, 0])
    large_and_wrong = np.array([[100, 0, 0, 0], [100, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    found = pixel.score(np.stack([small_and_right, large_and_wrong]), CLASSES)
    assert found["mean_iou_of_images"] == pytest.approx((1 + 0.25) / 2)
    assert found["mean_iou"] == pytest.approx((101 / 201 + 1 / 101) / 2)


def test_a_constant_prediction_finds_nothing(half_right: np.ndarray) -> None:
    floor = pixel.constant(np.stack([half_right, half_right]), 0)
    assert floor.shape == (2, C, C)
    np.testing.assert_allclose(pixel.iou(floor.sum(axis=0)), [8 / 12, 0, np.nan, np.nan])
    assert pixel.averages(floor.sum(axis=0), CLASSES)["dice_micro_no_background"] == 0


def test_a_shuffled_prediction_scores_near_chance() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, C, 40_000)
    total = pixel.confusion(truth, random.permutation(truth), C)
    assert pixel.mean(pixel.dice(total)) == pytest.approx(1 / C, abs=0.02)


def test_ignored_pixels_count_nowhere() -> None:
    truth = np.array([0, 255, 255, 1], np.uint8)
    assert pixel.confusion(truth, np.array([0, 0, 3, 1], np.uint8), C).sum() == 2


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [([0, 4], [0, 0], "truth has class codes"), ([0, 0], [0, 4], "prediction has"), ([0], [0, 0], "shape")],
)
def test_what_cannot_be_counted_is_refused(truth: list[int], predicted: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pixel.confusion(np.array(truth, np.uint8), np.array(predicted, np.uint8), C)
