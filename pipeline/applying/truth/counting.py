"""What a model found on a slide, compared with what is annotated: counts, window by window."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.applying.field import Field, Mask, Regions
from pipeline.applying.truth.maps import Maps, Numbers
from pipeline.applying.windows import Window, squares
from pipeline.metrics import detection, instance, pixel
from pipeline.nuclei.comparison import PUBLISHED_MICRONS
from pipeline.tiles.store import IGNORE

SIDE = 2048  # px of a window
MOST = 4000  # nuclei of a slide whose middles are matched: time and memory grow with the square of their number
NAN = float("nan")


@dataclass
class Counted:
    """The counts of a slide by a model."""

    pixels: pixel.Counts  # (C, C): truth in rows
    nuclei: dict[str, float] | None  # as `nuclei.comparison.compare` names them; None where none are compared
    glass: int  # px that the model did not look at and that are annotated as background, or by a model without one as
    # anything; they count nowhere


@dataclass
class _Nuclei:
    """The nuclei of one side, as far as they were seen."""

    classes: dict[int, int]
    sums: dict[int, npt.NDArray[np.float64]] = field(default_factory=dict)  # number -> rows, columns, pixels

    def add(self, numbers: Numbers, window: Window) -> None:
        rows, columns = np.nonzero(numbers)
        names, index = np.unique(numbers[rows, columns], return_inverse=True)
        parts = [
            np.bincount(index, weights, len(names)) for weights in (rows + window.top, columns + window.left, None)
        ]
        for name, part in zip(names.tolist(), np.stack(parts, axis=1), strict=True):
            self.sums[name] = self.sums[name] + part if name in self.sums else part

    def middles(self) -> detection.Nuclei:
        """Centroids and classes, by ascending number."""
        names = sorted(self.sums)
        sums = np.array([self.sums[name] for name in names]).reshape(-1, 3)
        codes = np.array([self.classes.get(name, -1) for name in names], np.int64)
        return detection.Nuclei(sums[:, :2] / sums[:, 2:], codes)


def count(
    field: Field,
    truth: Maps,
    found: Maps,
    classes: Sequence[str],
    regions: Regions | None,
    nuclei: bool,
) -> Counted:
    """Compare all that is annotated and lies in the regions, at the model's resolution.

    Where the model did not look (glass) it found nothing: what is annotated there as anything but the background is
    missed. Where the annotation agrees that there is nothing, nothing is counted, since glass would make any model
    look good.

    Args:
        field: what the model looked at.
        classes: of the model, in the order of their codes.
        nuclei: whether they are compared, too.
    """
    grid, size = field.grid, len(classes)
    background = classes.index(pixel.BACKGROUND) if pixel.BACKGROUND in classes else None
    counts, glass = np.zeros((size, size), np.int64), 0
    true, predicted = _Nuclei(truth.nuclei), _Nuclei(found.nuclei)
    pairs: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    for _, window in squares(grid.height, grid.width, SIDE):
        of_truth, true_numbers = truth.read(window, grid.downsample)
        if regions is not None:
            of_truth[~regions.mask(window, grid.downsample)] = IGNORE
        if (of_truth == IGNORE).all():
            continue
        of_model, numbers = found.read(window, grid.downsample)
        unseen = ~_looked_at(field, window)
        of_model[unseen], numbers[unseen] = IGNORE if background is None else background, 0
        nothing = unseen & (of_truth != IGNORE) & (True if background is None else of_truth == background)
        glass += int(np.count_nonzero(nothing))
        of_truth[nothing | (of_model == IGNORE)] = IGNORE
        counts += pixel.confusion(of_truth, of_model, size, IGNORE)
        if nuclei:
            outside = of_truth == IGNORE
            true_numbers, numbers = (np.where(outside, 0, each) for each in (true_numbers, numbers))
            true.add(true_numbers, window)
            predicted.add(numbers, window)
            pairs.append(_pairs(true_numbers, numbers))
    row = None
    if nuclei:
        row = _row(_overlaps(pairs), true, predicted, classes, grid.microns_per_pixel)
    return Counted(counts, row, glass)


def _looked_at(field: Field, window: Window) -> Mask:
    """The pixels of a window that lie in a tile that was predicted."""
    seen, size = np.zeros((window.height, window.width), np.bool_), field.grid.tile_size
    for top, left in field.tiles_in(window):
        part = window.part_of(Window(top, left, size, size))
        seen[part.rows_from(window.top), part.columns_from(window.left)] = True
    return seen


def _pairs(truth: Numbers, found: Numbers) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each pair of numbers that meet in a pixel of a nucleus, as one number, and in how many pixels they do."""
    inside = (truth > 0) | (found > 0)
    codes, pixels = np.unique((truth[inside].astype(np.int64) << 32) | found[inside], return_counts=True)
    return codes, pixels.astype(np.int64)


def _overlaps(pairs: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]) -> instance.Overlaps:
    """The table that `instance.overlaps` makes of two whole maps, from the pairs of their windows."""
    every = np.concatenate([codes for codes, _ in pairs] or [np.zeros(0, np.int64)])
    codes, index = np.unique(every, return_inverse=True)
    pixels = np.zeros(len(codes), np.int64)
    np.add.at(pixels, index, np.concatenate([found for _, found in pairs] or [np.zeros(0, np.int64)]))
    true_of, predicted_of = codes >> 32, codes & 0xFFFFFFFF
    ids = [np.unique(of[of > 0], return_inverse=True) for of in (true_of, predicted_of)]
    (true_ids, true_places), (predicted_ids, predicted_places) = ids
    both = (true_of > 0) & (predicted_of > 0)
    return instance.Overlaps(
        true_ids,
        predicted_ids,
        np.bincount(true_places, pixels[true_of > 0], true_ids.size).astype(np.int64),
        np.bincount(predicted_places, pixels[predicted_of > 0], predicted_ids.size).astype(np.int64),
        np.searchsorted(true_ids, true_of[both]),
        np.searchsorted(predicted_ids, predicted_of[both]),
        pixels[both],
    )


def _row(
    overlaps: instance.Overlaps, true: _Nuclei, predicted: _Nuclei, classes: Sequence[str], microns_per_pixel: float
) -> dict[str, float]:
    """Counts of a slide's nuclei, named as those of a tile are (pipeline/nuclei/comparison.py).

    What components would have given is not known of outlines: NaN. Likewise detections where there are too many.
    """
    codes = list(range(1, len(classes)))
    per_class = instance.count_classes(overlaps, true.classes, predicted.classes, codes)
    row = _named("binary", instance.COLUMNS, instance.count(overlaps))
    row |= _named("binary", instance.JOIN_COLUMNS, instance.joins(overlaps))
    for code in codes:
        row |= _named(classes[code], instance.COLUMNS, per_class[code - 1])
    radius = detection.RADIUS * PUBLISHED_MICRONS / microns_per_pixel
    detected = np.full(len(detection.DETECTION_COLUMNS), NAN)
    classified = np.full((len(codes), len(detection.CLASS_COLUMNS)), NAN)
    if max(len(true.sums), len(predicted.sums)) <= MOST:
        detected, classified = detection.count(true.middles(), predicted.middles(), codes, radius)
    row |= _named("detection", detection.DETECTION_COLUMNS, detected)
    unknown = (*instance.COLUMNS, *instance.JOIN_COLUMNS)
    row |= _named("components", unknown, np.full(len(unknown), NAN))
    row |= _named("components_detection", detection.DETECTION_COLUMNS, np.full(len(detected), NAN))
    for code in codes:
        row |= _named(f"{classes[code]}_detection", detection.CLASS_COLUMNS, classified[code - 1])
    return row


def _named(prefix: str, columns: Sequence[str], values: npt.NDArray[np.float64]) -> dict[str, float]:
    return {f"{prefix}_{column}": float(value) for column, value in zip(columns, values, strict=True)}
