"""Precision and recall of one class at every threshold of its probability, from counts.

`histogram` counts an image's pixels by truth and probability; the rest are functions of such counts, which add up as
those of pipeline.metrics.pixel do, so that a data set, or many resamples of it, are scored from the sums.

Probabilities are counted in 100 steps: the scores are those of probabilities rounded down to whole percents.
"""

import numpy as np
import numpy.typing as npt

STEPS = 100
COLUMNS = [f"{truth}_{step}" for truth in ("rest", "target") for step in range(STEPS)]  # of a table of the counts
Counts = npt.NDArray[np.number]  # (..., 2, STEPS): not in the class and in it, by probability
Scores = npt.NDArray[np.float64]


def histogram(truth: npt.NDArray[np.integer], probability: npt.NDArray[np.floating], ignore: int = 255) -> Counts:
    """Count the pixels (or tiles) of each truth, 0 or 1, at each step of the probability of 1, (2, STEPS) int64.

    Those with the truth `ignore` are not counted. Both arrays have the same shape.
    """
    if truth.shape != probability.shape:
        raise ValueError(f"truth has shape {truth.shape}, the probabilities {probability.shape}")
    counted = truth != ignore
    steps = np.clip(probability[counted].astype(np.float64) * STEPS, 0, STEPS - 1).astype(np.int64)
    return np.bincount(truth[counted].astype(np.int64) * STEPS + steps, minlength=2 * STEPS).reshape(2, STEPS)


def precision_recall(counts: Counts) -> tuple[Scores, Scores]:
    """Precision and recall (..., STEPS) where all from each step up are called the class, from the highest step down.

    Precision is 1 where none is called so; recall NaN where none is of the class.
    """
    called = np.flip(counts, -1).cumsum(axis=-1).astype(np.float64)
    found, total = called[..., 1, :], called.sum(axis=-2)
    positives = found[..., -1:]
    precision = np.divide(found, total, out=np.ones_like(found), where=total > 0)
    recall = np.divide(found, positives, out=np.full_like(found, np.nan), where=positives > 0)
    return precision, recall


def average_precision(counts: Counts) -> Scores:
    """Precision averaged over the recall that each step adds, (...): sum of (R_n - R_n-1) P_n.

    The same number as scikit-learn's `average_precision_score` of probabilities in whole percents. A model that tells
    nothing gets the share of the class in the truth. NaN where none is of the class.
    """
    precision, recall = precision_recall(counts)
    return np.asarray((np.diff(recall, axis=-1, prepend=0) * precision).sum(axis=-1), np.float64)
