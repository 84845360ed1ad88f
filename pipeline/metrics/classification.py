"""Scores of classified images, from confusion counts (..., C, C + 1): true class, called class, last of all no call.

An image without a call counts as wrong: it lowers accuracy and its class's recall, and no class's precision.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def accuracy(counts: FloatArray) -> FloatArray:
    """Share of the images that got their own class (...)."""
    return _ratio(_right(counts).sum(axis=-1), counts.sum(axis=(-2, -1)))


def no_call(counts: FloatArray) -> FloatArray:
    """Share of the images without a call (...)."""
    return _ratio(counts[..., -1].sum(axis=-1), counts.sum(axis=(-2, -1)))


def precision(counts: FloatArray) -> FloatArray:
    """Of the images that were called a class, the share that are (..., C); 0 where none was called so."""
    called = counts[..., :-1].sum(axis=-2)
    return np.where(called > 0, _ratio(_right(counts), called), 0.0)


def recall(counts: FloatArray) -> FloatArray:
    """Of the images of a class, the share that were called so (..., C); NaN where there is none."""
    return _ratio(_right(counts), counts.sum(axis=-1))


def f1(counts: FloatArray) -> FloatArray:
    """Harmonic mean of both (..., C); NaN where a class was neither there nor called."""
    return _ratio(2 * _right(counts), counts.sum(axis=-1) + counts[..., :-1].sum(axis=-2))


def roc_auc(scores: FloatArray, positive: npt.NDArray[np.bool_], weights: FloatArray | None = None) -> FloatArray:
    """Area under the ROC curve (...): how often a positive image scores above a negative one, ties counting half.

    Args:
        scores: (N,).
        positive: (N,).
        weights: (..., N), how often each image counts, for a bootstrap.

    Returns:
        NaN where there are not both kinds.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    above = np.sign(scores[positive][:, None] - scores[~positive]) / 2 + 0.5
    first, second = weights[..., positive], weights[..., ~positive]
    return _ratio(((first @ above) * second).sum(axis=-1), first.sum(axis=-1) * second.sum(axis=-1))


def roc_curve(scores: FloatArray, positive: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """False and true positive rate for every threshold, from (0, 0) to (1, 1)."""
    steps = np.unique(scores)[::-1]
    above = scores >= steps[:, None]
    rates = [np.append(0, (above & kind).sum(axis=1) / max(kind.sum(), 1)) for kind in (~positive, positive)]
    return rates[0], rates[1]


def _right(counts: FloatArray) -> FloatArray:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(below > 0, above / below, np.nan), np.float64)
