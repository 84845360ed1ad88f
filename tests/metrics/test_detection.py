"""Detection and classification of nuclei against the published formulas written out, and another solver."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.metrics import detection


def nuclei_at(points: list[tuple[float, float]], classes: list[int]) -> detection.Nuclei:
    return detection.Nuclei(np.array(points, float).reshape(-1, 2), np.array(classes, np.int64))


def random_nuclei(seed: int, most: int, side: float) -> detection.Nuclei:
    generator = np.random.default_rng(seed)
    size = int(generator.integers(0, most + 1))
    return detection.Nuclei(generator.uniform(0, side, (size, 2)), generator.integers(1, 4, size))


def slow_pairs(truth: detection.Nuclei, prediction: detection.Nuclei, radius: float) -> set[tuple[int, int]]:
    """The best of all assignments of the smaller set to the larger one, then the radius."""
    small, large = len(truth.classes), len(prediction.classes)
    swapped = small > large
    if swapped:
        small, large = large, small
    candidates = []
    for chosen in permutations(range(large), small):
        pairs = [(b, a) if swapped else (a, b) for a, b in enumerate(chosen)]
        candidates.append((sum(math.dist(truth.centroids[i], prediction.centroids[j]) for i, j in pairs), pairs))
    pairs = min(candidates)[1]
    return {(i, j) for i, j in pairs if math.dist(truth.centroids[i], prediction.centroids[j]) <= radius}


def slow_scores(tp: int, fp: float, fn: float) -> list[float]:
    return [
        tp / (tp + fp) if tp + fp else math.nan,
        tp / (tp + fn) if tp + fn else math.nan,
        2 * tp / (2 * tp + fp + fn) if tp + fp + fn else math.nan,
    ]


def check(truth: detection.Nuclei, prediction: detection.Nuclei, pairs: set[tuple[int, int]]) -> None:
    """All scores, with the paper's weights 2 for a wrong class and 1 for a nucleus missed or invented."""
    found, classes = detection.count(truth, prediction, range(1, 5))
    extra, missed = len(prediction.classes) - len(pairs), len(truth.classes) - len(pairs)
    assert list(detection.detection_scores(found)) == pytest.approx(
        slow_scores(len(pairs), extra, missed), abs=1e-6, nan_ok=True
    )
    for code in range(1, 5):
        right = false_class = lost_class = 0
        for i, j in pairs:
            if truth.classes[i] == code and prediction.classes[j] == code:
                right += 1
            elif prediction.classes[j] == code:
                false_class += 1
            elif truth.classes[i] == code:
                lost_class += 1
        invented = sum(c == code for j, c in enumerate(prediction.classes) if j not in {b for _, b in pairs})
        unseen = sum(c == code for i, c in enumerate(truth.classes) if i not in {a for a, _ in pairs})
        assert [float(score) for score in detection.classification_scores(classes[code - 1])] == pytest.approx(
            slow_scores(right, 2 * false_class + invented, 2 * lost_class + unseen), abs=1e-6, nan_ok=True
        )


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_random_nuclei_agree_with_trying_every_assignment(first: int, second: int) -> None:
    truth, prediction = random_nuclei(first, 5, 40), random_nuclei(second, 5, 40)
    check(truth, prediction, slow_pairs(truth, prediction, 12))


def sparse_pairs(truth: detection.Nuclei, prediction: detection.Nuclei) -> set[tuple[int, int]]:
    """The same assignment by scipy's other solver (Jonker and Volgenant for sparse graphs)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    distances = np.sqrt(((truth.centroids[:, None] - prediction.centroids[None]) ** 2).sum(-1))
    rows, columns = min_weight_full_bipartite_matching(csr_array(distances + 1))  # it takes a 0 for a missing edge
    return {(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if distances[i, j] <= 12}


@pytest.mark.real
def test_real_nuclei_agree_with_another_solver(real_pairs: list) -> None:
    for pair in real_pairs:
        truth = detection.nuclei(pair.truth, pair.truth_classes)
        prediction = detection.nuclei(pair.prediction, pair.prediction_classes)
        check(truth, prediction, sparse_pairs(truth, prediction))


def test_drawn_nuclei_agree_with_another_solver(drawn_pairs: list) -> None:
    for pair in drawn_pairs:
        truth = detection.nuclei(pair.truth, pair.truth_classes)
        prediction = detection.nuclei(pair.prediction, pair.prediction_classes)
        check(truth, prediction, sparse_pairs(truth, prediction))


def test_twelve_pixels_are_near_enough() -> None:
    truth = nuclei_at([(0, 0)], [1])
    assert detection.count(truth, nuclei_at([(0, 12)], [1]), [1])[0].tolist() == [1, 0, 0]
    assert detection.count(truth, nuclei_at([(0, 12.01)], [1]), [1])[0].tolist() == [0, 1, 1]
    assert detection.count(truth, nuclei_at([(0, 12)], [1]), [1], radius=6)[0].tolist() == [0, 1, 1]


def test_a_wrong_class_costs_both_classes_two() -> None:
    found, classes = detection.count(nuclei_at([(5, 5)], [1]), nuclei_at([(5, 6)], [2]), [1, 2])
    assert found.tolist() == [1, 0, 0]
    assert classes.tolist() == [[0, 0, 1, 0, 0], [0, 1, 0, 0, 0]]
    right = detection.count(nuclei_at([(5, 5)], [1]), nuclei_at([(5, 6)], [1]), [1, 2])[1]
    assert detection.classification_scores(classes + right).f1[0] == 2 / (2 + 2)


def test_no_nuclei() -> None:
    nothing, something = nuclei_at([], []), nuclei_at([(1, 1)], [1])
    for truth, prediction in ((nothing, nothing), (nothing, something), (something, nothing)):
        check(truth, prediction, set())


def test_centroids_agree_with_scikit_image(drawn_pairs: list) -> None:
    from skimage.measure import regionprops

    for pair in drawn_pairs:
        found = detection.nuclei(pair.truth, pair.truth_classes)
        expected = regionprops(pair.truth)
        assert found.centroids == pytest.approx(np.array([region.centroid for region in expected]))
        assert found.classes.tolist() == [pair.truth_classes[region.label] for region in expected]
    assert detection.nuclei(np.full((1, 1), 4, np.int32), {}).classes.tolist() == [-1]
    assert detection.nuclei(np.zeros((3, 3), np.int32), {}).centroids.shape == (0, 2)
