"""How well predicted nuclei match the true ones: panoptic quality, aggregated Jaccard index, PanNuke's bPQ and mPQ.

In: instance maps (H, W) of integers, 0 = none. Everything comes from one sparse table of overlaps, so that the cost
does not grow with the number of pairs. Out: counts of an image first, which can be saved, summed and resampled;
scores of counts after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.metrics.stats import nan_mean

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Meetings = tuple[IntArray, IntArray]  # pairs of ids, each as one number, and in how many pixels they meet

COLUMNS = ("tp", "fp", "fn", "sum_iou", "aji_intersection", "aji_union")  # of the counts; the last two in pixels
JOIN_COLUMNS = ("merged", "split")  # of the counts of `joins`


@dataclass(frozen=True)
class Overlaps:
    """The T true and P predicted instances of an image, and the K pairs of them that share a pixel."""

    truth_ids: IntArray  # (T,), ascending
    prediction_ids: IntArray  # (P,), ascending
    truth_areas: IntArray  # (T,), pixels
    prediction_areas: IntArray  # (P,), pixels
    rows: IntArray  # (K,), index into truth_ids; pairs are sorted by row, then by column
    columns: IntArray  # (K,), index into prediction_ids
    intersections: IntArray  # (K,), pixels

    @property
    def unions(self) -> IntArray:
        """Pixels in either instance of a pair, (K,)."""
        return self.truth_areas[self.rows] + self.prediction_areas[self.columns] - self.intersections

    @property
    def ious(self) -> FloatArray:
        """Intersection over union of every pair, (K,)."""
        return np.asarray(self.intersections / self.unions, np.float64)

    def select(self, truth: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_]) -> "Overlaps":
        """The table of some of the instances: `truth` (T,) and `prediction` (P,) say which to keep."""
        kept = truth[self.rows] & prediction[self.columns]
        return Overlaps(
            self.truth_ids[truth],
            self.prediction_ids[prediction],
            self.truth_areas[truth],
            self.prediction_areas[prediction],
            (np.cumsum(truth) - 1)[self.rows[kept]],
            (np.cumsum(prediction) - 1)[self.columns[kept]],
            self.intersections[kept],
        )


def overlaps(truth: npt.NDArray[np.integer], prediction: npt.NDArray[np.integer]) -> Overlaps:
    """Compare two instance maps (H, W), ids 0 to 2**31 - 1, 0 = none.

    Pixels to ignore must be 0 in both. Raises ValueError where shapes differ or an id is negative.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"instance maps differ in shape: {truth.shape} and {prediction.shape}")
    if truth.size and min(truth.min(), prediction.min()) < 0:
        raise ValueError("an instance map holds a negative id")
    return tabulate([meetings(truth, prediction)])


def meetings(truth: npt.NDArray[np.integer], prediction: npt.NDArray[np.integer]) -> Meetings:
    """Each pair of ids that meet in a pixel of an instance, as truth * 2**32 + prediction, and in how many they do."""
    inside = (truth > 0) | (prediction > 0)
    codes, pixels = np.unique((truth[inside].astype(np.int64) << 32) | prediction[inside], return_counts=True)
    return codes, pixels.astype(np.int64)


def tabulate(parts: Sequence[Meetings]) -> Overlaps:
    """The table of two instance maps from what meets in the parts that they are cut into."""
    nothing = np.zeros(0, np.int64)
    codes, index = np.unique(np.concatenate([nothing, *(codes for codes, _ in parts)]), return_inverse=True)
    counts = np.concatenate([nothing, *(pixels for _, pixels in parts)])
    pixels = np.bincount(index, counts, len(codes)).astype(np.int64)
    true_of, predicted_of = codes >> 32, codes & 0xFFFFFFFF
    truth_ids, rows = np.unique(true_of[true_of > 0], return_inverse=True)
    prediction_ids, columns = np.unique(predicted_of[predicted_of > 0], return_inverse=True)
    both = (true_of > 0) & (predicted_of > 0)
    return Overlaps(
        truth_ids,
        prediction_ids,
        np.bincount(rows, pixels[true_of > 0], truth_ids.size).astype(np.int64),
        np.bincount(columns, pixels[predicted_of > 0], prediction_ids.size).astype(np.int64),
        np.searchsorted(truth_ids, true_of[both]),
        np.searchsorted(prediction_ids, predicted_of[both]),
        pixels[both],
    )


def match(table: Overlaps, threshold: float = 0.5) -> IntArray:
    """Pairs (indices into the table's pairs) that are the same nucleus: IoU above `threshold`, each instance used once.

    Above 0.5 such pairs are unique (Kirillov et al. 2019, Panoptic Segmentation, section 4.1). Below it, the one-to-one
    assignment of the largest total IoU is taken first and the threshold applied to it, as HoVer-Net does.
    """
    ious = table.ious
    if threshold >= 0.5:
        return np.flatnonzero(ious > threshold)
    from scipy.optimize import linear_sum_assignment

    pair_of = np.full((table.truth_ids.size, table.prediction_ids.size), -1)
    pair_of[table.rows, table.columns] = np.arange(ious.size)
    values = np.zeros(pair_of.shape)
    values[table.rows, table.columns] = ious
    pairs = pair_of[linear_sum_assignment(values, maximize=True)]
    pairs = pairs[pairs >= 0]
    return np.asarray(pairs[ious[pairs] > threshold], np.int64)


def count(table: Overlaps, threshold: float = 0.5) -> FloatArray:
    """Counts of one image, (6,), in the order of `COLUMNS`; counts of several images add up.

    The AJI columns are those of Kumar et al. 2017 (A Dataset and a Technique for Generalized Nuclear Segmentation,
    algorithm 1): every true nucleus takes the prediction of the largest IoU with it, also where another one has taken
    that prediction already; then the predictions that none took join the union. AJI+, which forbids the double use,
    is another score. Of predictions with equal IoU the one of the lowest id is taken.
    """
    matched = match(table, threshold)
    ious = table.ious
    order = np.lexsort((table.columns, -ious, table.rows))
    met, first = np.unique(table.rows[order], return_index=True)
    best = order[first]
    alone = np.delete(table.truth_areas, met).sum()
    unused = np.delete(table.prediction_areas, table.columns[best]).sum()
    return np.array(
        [
            matched.size,
            table.prediction_ids.size - matched.size,
            table.truth_ids.size - matched.size,
            ious[matched].sum(),
            table.intersections[best].sum(),
            table.unions[best].sum() + alone + unused,
        ],
        np.float64,
    )


def merged_and_split(table: Overlaps) -> tuple[IntArray, IntArray]:
    """Ids of the predictions that merge nuclei, and of the true nuclei that are split.

    A prediction merges where it holds more than half of each of several true nuclei; a true nucleus is split where it
    holds more than half of each of several predictions.
    """
    swallowed = 2 * table.intersections > table.truth_areas[table.rows]
    inside = 2 * table.intersections > table.prediction_areas[table.columns]
    merging = np.bincount(table.columns[swallowed], minlength=table.prediction_ids.size) > 1
    split = np.bincount(table.rows[inside], minlength=table.truth_ids.size) > 1
    return table.prediction_ids[merging], table.truth_ids[split]


def joins(table: Overlaps) -> FloatArray:
    """How many predictions merge and how many true nuclei are split, (2,), in the order of `JOIN_COLUMNS`."""
    return np.array([ids.size for ids in merged_and_split(table)], np.float64)


def count_classes(
    table: Overlaps,
    truth_classes: Mapping[int, int],
    prediction_classes: Mapping[int, int],
    classes: Sequence[int],
    threshold: float = 0.5,
) -> FloatArray:
    """Counts of one image for each class alone, (C, 6): only nuclei of one class can match.

    The mappings give the class of each instance id; an id that is missing has no class and counts in none.
    """
    true = np.array([truth_classes.get(int(number), -1) for number in table.truth_ids], np.int64)
    predicted = np.array([prediction_classes.get(int(number), -1) for number in table.prediction_ids], np.int64)
    return np.stack([count(table.select(true == code, predicted == code), threshold) for code in classes])


class Quality(NamedTuple):
    """Panoptic quality and its two factors, each of the shape of the counts without their last axis."""

    pq: FloatArray
    sq: FloatArray  # segmentation quality: mean IoU of the matched pairs
    dq: FloatArray  # detection quality: F1 of the matches


def panoptic_quality(counts: FloatArray) -> Quality:
    """PQ = SQ x DQ of counts (..., 6) (Kirillov et al. 2019): NaN without any instance; all 0 where none match.

    HoVer-Net's and PanNuke's scripts add 1e-6 to the denominator of SQ, which this does not.
    """
    tp, fp, fn, sum_iou = np.moveaxis(counts[..., :4], -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        dq = tp / (tp + fp / 2 + fn / 2)
        sq = np.where(tp > 0, sum_iou / tp, dq)
    return Quality(sq * dq, sq, dq)


def aggregated_jaccard(counts: FloatArray) -> FloatArray:
    """AJI of counts (..., 6), as published by Kumar et al. 2017 (see `count`); NaN without any instance."""
    with np.errstate(invalid="ignore"):
        return np.asarray(counts[..., 4] / counts[..., 5], np.float64)


def image_pq(counts: FloatArray) -> FloatArray:
    """PQ of each image as PanNuke counts it, for counts (..., 6): NaN where the **truth** has no instance.

    So predictions in an image, or of a class, that the truth has none of cost nothing there. That is the convention of
    the data set's own script (TissueImageAnalytics/PanNuke-metrics, run.py; Gamper et al. 2020) and of CellViT's.
    """
    return np.where(counts[..., 0] + counts[..., 2] > 0, panoptic_quality(counts).pq, np.nan)


@dataclass(frozen=True)
class PanopticScores:
    """PanNuke's metrics, each averaged in both ways in print: `images`, over images; `tissues`, over tissue means."""

    bpq_images: float  # all nuclei one class; what CellViT's logs print
    bpq_tissues: float  # what PanNuke's own script prints
    mpq_images: float
    mpq_tissues: float
    class_pq_images: FloatArray  # (C,); the per-class PQ of both
    class_pq_tissues: FloatArray  # (C,)


def panoptic_scores(binary: FloatArray, per_class: FloatArray, tissues: Sequence[str]) -> PanopticScores:
    """PanNuke's bPQ, mPQ and per-class PQ of N images.

    `binary` (N, 6) are counts with all nuclei one class, `per_class` (N, C, 6) those of each class, `tissues` (N,). An
    image's mPQ is the mean over the classes that its truth holds. Whatever is NaN is left out of every mean.
    """
    class_pq = image_pq(per_class)
    scores = np.column_stack([image_pq(binary), nan_mean(class_pq, axis=1), class_pq])  # (N, 2 + C)
    names = np.asarray(tissues)
    by_image = nan_mean(scores, axis=0)
    by_tissue = nan_mean(np.stack([nan_mean(scores[names == name], axis=0) for name in np.unique(names)]), axis=0)
    return PanopticScores(
        bpq_images=float(by_image[0]),
        bpq_tissues=float(by_tissue[0]),
        mpq_images=float(by_image[1]),
        mpq_tissues=float(by_tissue[1]),
        class_pq_images=by_image[2:],
        class_pq_tissues=by_tissue[2:],
    )
