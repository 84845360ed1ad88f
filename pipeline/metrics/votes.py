"""From the detections of images to their classes, to scores, and to figures with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.metrics import average_precision, classification, stats

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

REPEATS = 1000  # resamples for an interval
NO_CALL = -1  # class code of an image without any vote
MEANS_OVER_CLASSES = ("precision", "recall", "f1", "roc_auc", "ap50", "ap")
RIGHT = [f"right_{round(100 * threshold)}" for threshold in average_precision.THRESHOLDS]  # columns of detections


def vote(labels: Labels, scores: npt.NDArray[np.floating], classes: int) -> FloatArray:
    """Votes of an image's detections (classes,): the sum of the scores of each class, whose codes count from 0."""
    return np.bincount(labels, np.asarray(scores, np.float64), minlength=classes).astype(np.float64)


def call(votes: FloatArray) -> Labels:
    """The class with most votes (N, classes) of each image; a draw goes to the lower code, no vote is `NO_CALL`."""
    return np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), NO_CALL)


def share(votes: FloatArray) -> FloatArray:
    """Votes as shares of an image's, so that images with many nuclei count no more; 0 without any vote."""
    total = votes.sum(axis=1, keepdims=True)
    return np.divide(votes, total, out=np.zeros(votes.shape), where=total > 0)


def table(truth: Labels, votes: FloatArray, nuclei: FloatArray, detections: Labels, classes: list[str]) -> pd.DataFrame:
    """One row an image: its class, what it was called, its nuclei, detections and votes, its nuclei of each class.

    `truth` and `detections` are (N,), `votes` and `nuclei` (N, classes).
    """
    named = np.array([*classes, "no call"])
    counted = nuclei.astype(int)
    frame = pd.DataFrame(
        {"truth": named[truth], "call": named[call(votes)], "nuclei": counted.sum(axis=1), "detections": detections}
    )
    columns = {f"vote_{name}": votes[:, code] for code, name in enumerate(classes)}
    return frame.assign(**columns, **{f"nuclei_{name}": counted[:, code] for code, name in enumerate(classes)})


@dataclass(frozen=True)
class Found:
    """Detections of all images of a side, by falling score."""

    image: Labels  # (D,), position of the image
    label: Labels  # (D,), class code from 0
    right: npt.NDArray[np.bool_]  # (D, thresholds)
    nuclei: FloatArray  # (N, classes), how many there are to find in each image

    @classmethod
    def of(cls, detections: pd.DataFrame, nuclei: FloatArray) -> Self:
        """Detections from their table: image, label, score, right_50, right_55, ... right_95."""
        ordered = detections.sort_values("score", ascending=False, kind="stable")
        return cls(ordered["image"].to_numpy(), ordered["label"].to_numpy(), ordered[RIGHT].to_numpy(bool), nuclei)


class Side:
    """The images of one side of the split in one training: their classes, votes and detections, and every score.

    Args:
        truth: (N,), class codes from 0.
        votes: (N, classes).
        classes: names, by code.
        found: the detections; None for what detects nothing.
    """

    def __init__(self, truth: Labels, votes: FloatArray, classes: Sequence[str], found: Found | None) -> None:
        self.truth, self.shares, self.classes, self.found = truth, share(votes), classes, found
        called = call(votes)
        kinds = len(classes)
        self.counts = np.zeros((len(truth), kinds, kinds + 1))  # the last column is no call
        self.counts[np.arange(len(truth)), truth, np.where(called == NO_CALL, kinds, called)] = 1

    def scores(self, weights: FloatArray | None = None) -> dict[str, FloatArray]:
        """Every score by name, (R,) each, of R resamples in which each image counts `weights` (R, N) times, else once.

        Names of a class's scores end in its name. A score that is not defined is NaN, and so is a mean over classes
        where a resample has no image of a class that is there: it would be a mean over fewer classes, another score.
        """
        weights = np.ones((1, len(self.truth))) if weights is None else weights
        images = np.eye(len(self.classes))[self.truth]  # (N, classes)
        lost = ((weights @ images == 0) & images.any(axis=0)).any(axis=1)
        scores = self._classified(weights) | self._ranked(weights) | self._detected(weights)
        return scores | {name: np.where(lost, np.nan, scores[name]) for name in MEANS_OVER_CLASSES if name in scores}

    def confusion(self) -> list[list[int]]:
        """Images of each true class (rows) and called class (columns, the last one no call)."""
        return [[int(value) for value in row] for row in self.counts.sum(axis=0)]

    def _classified(self, weights: FloatArray) -> dict[str, FloatArray]:
        counts = np.tensordot(weights, self.counts, 1)
        scores = {"accuracy": classification.accuracy(counts), "no_call": classification.no_call(counts)}
        for name in ("precision", "recall", "f1"):
            scores |= self._of_classes(name, getattr(classification, name)(counts))
        return scores

    def _ranked(self, weights: FloatArray) -> dict[str, FloatArray]:
        codes = range(len(self.classes))
        areas = [classification.roc_auc(self.shares[:, code], self.truth == code, weights) for code in codes]
        return self._of_classes("roc_auc", np.stack(areas, axis=-1))

    def _detected(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Mask AP at IoU 0.5 and the mean over 0.5, 0.55, ... 0.95; a class without nuclei has none."""
        if self.found is None:
            return {}
        areas = np.full((len(weights), len(self.classes), len(RIGHT)), np.nan)
        for code in range(len(self.classes)):
            mine = self.found.label == code
            image, right = self.found.image[mine], self.found.right[mine]
            truths = weights @ self.found.nuclei[:, code]
            for row, drawn in enumerate(weights):
                for place in range(areas.shape[2]):
                    areas[row, code, place] = average_precision.average_precision(
                        right[:, place], truths[row], drawn[image]
                    )
        return self._of_classes("ap50", areas[..., 0]) | self._of_classes("ap", areas.mean(axis=-1))

    def _of_classes(self, name: str, values: FloatArray) -> dict[str, FloatArray]:
        """The mean over the classes that have the score, and the score of each, from (R, classes)."""
        of_class = {f"{name}_{label}": values[:, code] for code, label in enumerate(self.classes)}
        return {name: stats.nan_mean(values, axis=-1), **of_class}


@dataclass(frozen=True)
class Figure:
    """A score averaged over trainings, its 95 % interval over units, and its standard deviation over trainings."""

    value: float
    low: float
    high: float
    sd: float | None  # None with one training
    units: int  # patients or images that were resampled


def pooled(sides: Sequence[Side], units: Sequence[Sequence[str]], seed: int) -> dict[str, Figure]:
    """Every score over trainings, each with its side and the unit (patient, or image) of each of its images.

    A unit is drawn for all trainings together, since they share images. A training that lacks a score, such as that of
    a class of which it has no image, is left out of its mean.
    """
    position = {name: place for place, name in enumerate(dict.fromkeys(name for names in units for name in names))}
    drawn_units = stats.resample(np.eye(len(position)), REPEATS, seed)  # (R, units)
    values = [side.scores() for side in sides]
    drawn = [
        side.scores(drawn_units[:, [position[name] for name in names]])
        for side, names in zip(sides, units, strict=True)
    ]
    figures = {}
    for name in dict.fromkeys(name for scores in values for name in scores):
        known = np.array([scores[name][0] for scores in values])
        exists = np.isfinite(known)
        replicates = np.stack([scores[name] for scores in drawn], axis=1)  # (R, trainings)
        mean = np.where(exists, replicates, 0).sum(axis=1) / max(1, exists.sum())
        found = stats.interval(float(stats.nan_mean(known, axis=0)), mean, len(position))
        sd = float(np.std(known, ddof=1)) if len(sides) > 1 else None
        figures[name] = Figure(found.value, found.low, found.high, sd, found.units)
    return figures
