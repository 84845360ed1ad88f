"""From the detections of images to their classes, and to figures with intervals."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.metrics import average_precision, classification, stats

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

REPEATS = 1000  # resamples for an interval
NO_CALL = -1  # class code of an image without any vote
MEANS_OVER_CLASSES = ("precision", "recall", "f1", "roc_auc", "ap50", "ap")


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


@dataclass(frozen=True)
class Found:
    """Detections of all images of a side, by falling score."""

    image: Labels  # (D,), position of the image
    label: Labels  # (D,), class code from 0
    right: npt.NDArray[np.bool_]  # (D, thresholds)
    nuclei: FloatArray  # (N, classes), how many there are to find in each image


class Side:
    """The images of one side of the split: their classes, votes, detections, and every figure with its interval.

    Args:
        truth: (N,), class codes from 0.
        votes: (N, classes).
        units: name of each image's patient, "" where it is not known; they are what is resampled.
        classes: names, by code.
        found: the detections; None for what detects nothing.
    """

    def __init__(
        self, truth: Labels, votes: FloatArray, units: list[str], classes: list[str], found: Found | None, seed: int
    ) -> None:
        self.truth, self.shares, self.classes, self.found = truth, share(votes), classes, found
        called = call(votes)
        kinds = len(classes)
        self.counts = np.zeros((len(truth), kinds, kinds + 1))  # the last column is no call
        self.counts[np.arange(len(truth)), truth, np.where(called == NO_CALL, kinds, called)] = 1
        unit_of = stats.sum_units(np.eye(len(truth)), units)  # (units, N)
        self.units = len(unit_of)
        self.weights = stats.resample(unit_of, REPEATS, seed)  # (R, N)

    def figures(self) -> dict[str, stats.Interval]:
        """Every score of the side by name; those of a class end in its name.

        A resample without an image of a class that is there has no mean over classes: it would be a mean over fewer
        classes, another score.
        """
        once = np.ones((1, len(self.truth)))
        images = np.eye(len(self.classes))[self.truth]  # (N, classes)
        lost = ((self.weights @ images == 0) & images.any(axis=0)).any(axis=1)
        found: dict[str, stats.Interval] = {}
        for statistic in (self._classified, self._ranked, *([self._detected] if self.found else [])):
            values, drawn = statistic(once), statistic(self.weights)
            drawn |= {name: np.where(lost, np.nan, drawn[name]) for name in MEANS_OVER_CLASSES if name in drawn}
            found |= {name: stats.interval(float(values[name][0]), drawn[name], self.units) for name in values}
        return found

    def confusion(self) -> list[list[int]]:
        """Images of each true class (rows) and called class (columns, the last one no call)."""
        return [[int(value) for value in row] for row in self.counts.sum(axis=0)]

    def _classified(self, weights: FloatArray) -> dict[str, FloatArray]:
        counts = np.tensordot(weights, self.counts, 1)
        found = {"accuracy": classification.accuracy(counts)}
        found["no_call"] = counts[..., -1].sum(axis=-1) / counts.sum(axis=(-2, -1))
        for name in ("precision", "recall", "f1"):
            found |= self._classes(name, getattr(classification, name)(counts))
        return found

    def _ranked(self, weights: FloatArray) -> dict[str, FloatArray]:
        codes = range(len(self.classes))
        areas = [classification.roc_auc(self.shares[:, code], self.truth == code, weights) for code in codes]
        return self._classes("roc_auc", np.stack(areas, axis=-1))

    def _detected(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Mask AP at IoU 0.5 and the mean over 0.5, 0.55, ... 0.95; a class without nuclei has none."""
        assert self.found
        areas = np.full((len(weights), len(self.classes), len(average_precision.THRESHOLDS)), np.nan)
        for code in range(len(self.classes)):
            mine = self.found.label == code
            image, right = self.found.image[mine], self.found.right[mine]
            truths = weights @ self.found.nuclei[:, code]
            for row, drawn in enumerate(weights):
                for place in range(areas.shape[2]):
                    areas[row, code, place] = average_precision.average_precision(
                        right[:, place], truths[row], drawn[image]
                    )
        return self._classes("ap50", areas[..., 0]) | self._classes("ap", areas.mean(axis=-1))

    def _classes(self, name: str, values: FloatArray) -> dict[str, FloatArray]:
        """The mean over the classes that have the score, and the score of each, from (R, classes)."""
        of_class = {f"{name}_{label}": values[:, code] for code, label in enumerate(self.classes)}
        return {name: stats.nan_mean(values, axis=-1), **of_class}


def table(truth: Labels, votes: FloatArray, nuclei: FloatArray, detections: Labels, classes: list[str]) -> pd.DataFrame:
    """One row an image: its class, what it was called, its nuclei, detections and votes."""
    named = np.array([*classes, "no call"])
    frame = pd.DataFrame(
        {"truth": named[truth], "call": named[call(votes)], "nuclei": nuclei.astype(int), "detections": detections}
    )
    return frame.assign(**{f"vote_{name}": votes[:, code] for code, name in enumerate(classes)})
