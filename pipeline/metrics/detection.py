"""Detection and classification of nuclei by their centroids, as HoVer-Net defined it and CellViT prints it.

Graham et al. 2019, HoVer-Net, section on evaluation metrics, and its script compute_stats.py; CellViT (Hörst et al.
2024) adds the precision and recall that belong to it. Counts of an image first, scores of (summed) counts after.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

RADIUS = 12.0  # px at 40x (0.25 um/px), so 3 um: how far apart two centroids of one nucleus may lie; 6 px at 20x

DETECTION_COLUMNS = ("tp_d", "fp_d", "fn_d")
CLASS_COLUMNS = ("tp_c", "fp_c", "fn_c", "fp_d", "fn_d")


class Nuclei(NamedTuple):
    """The nuclei of an image."""

    centroids: FloatArray  # (n, 2), row and column, px
    classes: IntArray  # (n,), class codes


class Scores(NamedTuple):
    """Each of the shape of the counts without their last axis; NaN where nothing was there to find."""

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray


def nuclei(instance_map: npt.NDArray[np.integer], classes: Mapping[int, int]) -> Nuclei:
    """Centroids and classes of the instances of a map (H, W), 0 = none, by ascending id; -1 = class not known.

    A centroid is the mean position of the pixels; HoVer-Net's script cuts it to whole pixels, this does not.
    """
    rows, columns = np.nonzero(instance_map)
    ids, index = np.unique(instance_map[rows, columns], return_inverse=True)
    areas = np.bincount(index, minlength=ids.size)
    centroids = [np.bincount(index, position, ids.size) / areas for position in (rows, columns)]
    codes = [classes.get(int(number), -1) for number in ids]
    return Nuclei(np.stack(centroids, axis=1), np.array(codes, np.int64))


def match(truth: FloatArray, prediction: FloatArray, radius: float = RADIUS) -> tuple[IntArray, IntArray]:
    """Pair centroids (T, 2) and (P, 2), in px: indices into each, one to one, at most `radius` apart.

    The assignment of the least total distance over all nuclei is taken first, then the radius is applied to it, as
    published. Without the radius in the assignment a far pair can cost a near one its partner.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    distances = cdist(truth, prediction)
    rows, columns = linear_sum_assignment(distances)
    near = distances[rows, columns] <= radius
    return rows[near], columns[near]


def count(
    truth: Nuclei, prediction: Nuclei, classes: Sequence[int], radius: float = RADIUS
) -> tuple[FloatArray, FloatArray]:
    """Counts of one image that add up: detection (3,), see `DETECTION_COLUMNS`, and per class (C, 5), `CLASS_COLUMNS`.

    Of the pairs: tp_c, both are of the class; fp_c, only the prediction is; fn_c, only the truth is. Of the nuclei
    without a partner: fp_d, predicted ones of the class, fn_d, true ones. An image without nuclei has no nucleus (the
    published scripts put one of no class at the corner, to keep their arrays from being empty).
    """
    rows, columns = match(truth.centroids, prediction.centroids, radius)
    true, predicted = truth.classes[rows], prediction.classes[columns]
    missed, invented = np.delete(truth.classes, rows), np.delete(prediction.classes, columns)
    per_class = [
        (
            np.sum((true == code) & (predicted == code)),
            np.sum((true != code) & (predicted == code)),
            np.sum((true == code) & (predicted != code)),
            np.sum(invented == code),
            np.sum(missed == code),
        )
        for code in classes
    ]
    return np.array([rows.size, invented.size, missed.size], np.float64), np.array(per_class, np.float64).reshape(-1, 5)


def detection_scores(counts: FloatArray) -> Scores:
    """Precision, recall and F_d = 2 TP / (2 TP + FP + FN) of detection counts (..., 3), whatever the class."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    return _scores(tp, fp, fn)


def classification_scores(counts: FloatArray) -> Scores:
    """Precision, recall and F_c of class counts (..., 5), a nucleus of the wrong class weighing two of one not found.

    F_c = 2 TP_c / (2 TP_c + 2 FP_c + 2 FN_c + FP_d + FN_d); precision has 2 FP_c + FP_d beside TP_c, recall
    2 FN_c + FN_d. HoVer-Net's text adds TN_c to TP_c; its script keeps only pairs in which the class occurs before it
    counts, which makes TN_c 0, and all published figures are that script's.
    """
    tp, fp_c, fn_c, fp_d, fn_d = np.moveaxis(counts, -1, 0)
    return _scores(tp, 2 * fp_c + fp_d, 2 * fn_c + fn_d)


def _scores(tp: FloatArray, fp: FloatArray, fn: FloatArray) -> Scores:
    with np.errstate(invalid="ignore"):
        return Scores(tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn))
