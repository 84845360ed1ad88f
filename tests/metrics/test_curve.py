import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from pipeline.metrics import curve


@pytest.fixture
def pixels() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = (random.random((6, 20, 20)) < 0.2).astype(np.uint8)
    return truth, np.clip(0.3 * truth + 0.7 * random.random(truth.shape), 0, 1).astype(np.float16)


def whole_percents(probability: np.ndarray) -> np.ndarray:
    return np.minimum(np.floor(probability.astype(float) * curve.STEPS), curve.STEPS - 1)


def test_average_precision_is_scikit_learns(pixels: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = pixels
    expected = average_precision_score(truth.ravel(), whole_percents(probability).ravel())
    assert curve.average_precision(curve.histogram(truth, probability)) == pytest.approx(expected, abs=1e-12)


def test_the_curve_is_scikit_learns(pixels: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = pixels
    precision, recall = curve.precision_recall(curve.histogram(truth, probability))
    theirs = precision_recall_curve(truth.ravel(), whole_percents(probability).ravel())
    steps = theirs[2].astype(int)
    assert precision[::-1][steps] == pytest.approx(theirs[0][:-1])
    assert recall[::-1][steps] == pytest.approx(theirs[1][:-1])


def test_counts_of_images_add_up_and_are_scored_at_once(pixels: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = pixels
    images = np.stack([curve.histogram(*pair) for pair in zip(truth, probability, strict=True)])
    assert images.shape == (6, 2, curve.STEPS)
    assert (images.sum(axis=0) == curve.histogram(truth, probability)).all()
    one_by_one = [float(curve.average_precision(image)) for image in images]
    assert curve.average_precision(images) == pytest.approx(one_by_one)


def test_ignored_pixels_count_nowhere() -> None:
    counts = curve.histogram(np.array([0, 1, 255]), np.array([0.25, 1.0, 1.0]))
    assert counts.sum() == 2
    assert counts[0, 25] == 1
    assert counts[1, 99] == 1


def test_a_model_that_tells_nothing_gets_the_share_of_the_class() -> None:
    truth = np.array([1] * 13 + [0] * 87)
    assert curve.average_precision(curve.histogram(truth, np.zeros(100))) == pytest.approx(0.13)
    assert curve.average_precision(curve.histogram(truth, truth.astype(float))) == 1
    assert np.isnan(curve.average_precision(curve.histogram(truth * 0, np.zeros(100))))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2,\), the probabilities \(3,\)"):
        curve.histogram(np.zeros(2, int), np.zeros(3))
