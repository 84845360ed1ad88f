"""Scores of class maps, pixel by pixel: first counts, then scores from the counts.

`confusion` counts; every score below is a function of such counts and of nothing else. Counts add up: the
counts of a data set are the sum of its images' counts. All functions take counts of shape (..., C, C) and
work on the last two axes, so that many images, or many resamples of them, are scored at once.

In the formulas TP, FP and FN are the pixels of one class that are right, wrongly given to it, and missed.
A class that is in neither truth nor prediction has no score: it is NaN and left out of every mean, neither
0 nor 1. A class that is in only one of the two scores 0 throughout, also where precision (never predicted)
or recall (not in the truth) alone would be 0/0; scikit-learn's `zero_division=0` agrees.

The same design, counts then scores, as `segmentation_models_pytorch.metrics` (`get_stats`, then `iou_score` ...).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]  # (..., C, C): truth class in rows, predicted class in columns
Scores = npt.NDArray[np.float64]

BACKGROUND = "background"  # the name of the class that the means "without background" leave out


def confusion(
    truth: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], classes: int, ignore: int = 255
) -> Counts:
    """Count the pixels of each truth class (row) that got each predicted class (column).

    Args:
        truth: class codes 0 .. classes - 1, or `ignore`, whose pixels are not counted; any shape.
        predicted: class codes 0 .. classes - 1, of the same shape.
        classes: number of classes C.
        ignore: code in the truth of pixels that count nowhere.

    Returns:
        (C, C) int64.

    Raises:
        ValueError: shapes differ, or a code is out of range.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth has shape {truth.shape}, the prediction {predicted.shape}")
    counted = truth != ignore
    rows, columns = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
    for name, codes in (("truth", rows), ("prediction", columns)):
        if codes.size and not 0 <= codes.min() <= codes.max() < classes:
            raise ValueError(f"the {name} has class codes outside 0 to {classes - 1}")
    return np.bincount(rows * classes + columns, minlength=classes**2).reshape(classes, classes)


def columns(classes: int) -> list[str]:
    """Names of the C x C counts where a table holds them, row by row: c0_0, c0_1 ... (truth first)."""
    return [f"c{truth}_{predicted}" for truth in range(classes) for predicted in range(classes)]


def constant(counts: Counts, code: int) -> Counts:
    """The counts of a prediction that is `code` everywhere, on the same truth: the floor that a model must beat."""
    result = np.zeros_like(counts)
    result[..., :, code] = counts.sum(axis=-1)
    return result


def iou(counts: Counts) -> Scores:
    """Intersection over union (Jaccard index) of each class, (..., C): TP / (TP + FP + FN)."""
    right, truth, predicted = _areas(counts)
    return _ratio(right, truth + predicted - right, truth + predicted)


def dice(counts: Counts) -> Scores:
    """Dice coefficient of each class, (..., C): 2 TP / (2 TP + FP + FN), the same number as the F1 score."""
    right, truth, predicted = _areas(counts)
    return _ratio(2 * right, truth + predicted, truth + predicted)


def precision(counts: Counts) -> Scores:
    """Share of a class's predicted pixels that are right, (..., C): TP / (TP + FP)."""
    right, truth, predicted = _areas(counts)
    return _ratio(right, predicted, truth + predicted)


def recall(counts: Counts) -> Scores:
    """Share of a class's true pixels that were found, (..., C): TP / (TP + FN)."""
    right, truth, predicted = _areas(counts)
    return _ratio(right, truth, truth + predicted)


def f1(counts: Counts) -> Scores:
    """Harmonic mean of precision and recall of each class, (..., C): 2 P R / (P + R); 0 where both are 0."""
    p, r = precision(counts), recall(counts)
    total = p + r
    return np.divide(2 * p * r, total, out=np.where(np.isnan(total), np.nan, 0.0), where=total > 0)


def pixel_accuracy(counts: Counts) -> Scores:
    """Share of the pixels that are right, (...): sum of TP / all pixels; NaN where there is none."""
    total = counts.sum(axis=(-2, -1))
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), total, total)


def one_vs_rest_accuracy(accuracy: Scores, classes: int) -> Scores:
    """Accuracy of each class against all others, TP + TN of all pixels, averaged over the classes: 1 - 2 (1 - a) / C.

    A wrong pixel is wrong for two of the C classes, its own and the predicted one, so that pixel accuracy `a` gives it:
    of 21 classes it is 0.905 where every pixel is wrong.
    """
    return 1 - 2 * (1 - accuracy) / classes


def mean(scores: Scores, of: npt.NDArray[np.bool_] | None = None) -> Scores:
    """Mean over the classes, (..., C) -> (...), of those marked in `of` (C,) or all; classes without a score count not.

    This is the "macro" average. NaN where no class has a score.
    """
    chosen = scores if of is None else scores[..., of]
    present = ~np.isnan(chosen)
    return _ratio(np.where(present, chosen, 0).sum(axis=-1), present.sum(axis=-1), present.sum(axis=-1))


def dice_micro(counts: Counts, of: npt.NDArray[np.bool_] | None = None) -> Scores:
    """Dice of all chosen classes' pixels taken together, (...): 2 sum TP / sum (2 TP + FP + FN).

    Over all classes this equals pixel accuracy, since every wrong pixel is one FP and one FN; large classes,
    and the background before all, rule it.
    """
    right, truth, predicted = _areas(counts)
    if of is not None:
        right, truth, predicted = right[..., of], truth[..., of], predicted[..., of]
    total = (truth + predicted).sum(axis=-1)
    return _ratio(2 * right.sum(axis=-1), total, total)


def foreground(classes: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Mark the classes that are not the background, (C,)."""
    return np.array([name != BACKGROUND for name in classes])


def averages(counts: Counts, classes: Sequence[str]) -> dict[str, Scores]:
    """All scores that are one number for a set of images, each (...), from the set's summed counts (..., C, C)."""
    without = foreground(classes)
    return {
        "pixel_accuracy": pixel_accuracy(counts),
        "accuracy_one_vs_rest": one_vs_rest_accuracy(pixel_accuracy(counts), len(classes)),
        "mean_iou": mean(iou(counts)),
        "mean_iou_no_background": mean(iou(counts), without),
        "dice_micro": dice_micro(counts),
        "dice_micro_no_background": dice_micro(counts, without),
        "dice_macro": mean(dice(counts)),
        "dice_macro_no_background": mean(dice(counts), without),
    }


def score(counts: Counts, classes: Sequence[str]) -> dict[str, Any]:
    """Everything about a test set, ready for JSON, from its counts per image (N, C, C).

    Scores are those of the summed counts, except `mean_iou_of_images`: mean IoU image by image, then averaged
    over the images. A score that does not exist is None.
    """
    total = counts.sum(axis=0)
    per_class = {"iou": iou(total), "dice": dice(total), "precision": precision(total), "recall": recall(total)}
    per_class["f1"] = f1(total)
    pixels = counts.sum(axis=-1)  # (N, C), of the truth
    return {
        "images": len(counts),
        **{name: number(value) for name, value in averages(total, classes).items()},
        "mean_iou_of_images": number(mean(mean(iou(counts)))),
        "per_class": {
            name: {
                **{key: number(values[code]) for key, values in per_class.items()},
                "pixels": int(pixels[:, code].sum()),
                "images": int((pixels[:, code] > 0).sum()),
            }
            for code, name in enumerate(classes)
        },
    }


def number(value: Any) -> float | None:
    """A score as JSON has it: None for NaN."""
    return None if np.isnan(value) else float(value)


def _areas(counts: Counts) -> tuple[Counts, Counts, Counts]:
    """Pixels of each class that are right, in the truth, and predicted: three arrays (..., C)."""
    return np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2)


def _ratio(above: npt.NDArray[Any], below: npt.NDArray[Any], known: npt.NDArray[Any]) -> Scores:
    """above / below; 0 where only `below` is 0, NaN where `known` is 0."""
    start = np.where(known == 0, np.nan, 0.0)
    return np.divide(above, below, out=start, where=below > 0)
