"""What a model found on a slide, compared with what is annotated: counts, window by window."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.applying.field import Field, Mask, Regions
from pipeline.applying.truth.maps import Maps, Numbers
from pipeline.applying.windows import Window, squares
from pipeline.metrics import detection, instance, pixel
from pipeline.nuclei.comparison import PUBLISHED_MICRONS, all_nuclei, named
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
    met: list[instance.Meetings] = []
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
            met.append(instance.meetings(true_numbers, numbers))
    row = None
    if nuclei:
        row = _row(instance.tabulate(met), true, predicted, classes, grid.microns_per_pixel)
    return Counted(counts, row, glass)


def _looked_at(field: Field, window: Window) -> Mask:
    """The pixels of a window that lie in a tile that was predicted."""
    seen, size = np.zeros((window.height, window.width), np.bool_), field.grid.tile_size
    for top, left in field.tiles_in(window):
        part = window.part_of(Window(top, left, size, size))
        seen[part.rows_from(window.top), part.columns_from(window.left)] = True
    return seen


def _row(
    overlaps: instance.Overlaps, true: _Nuclei, predicted: _Nuclei, classes: Sequence[str], microns_per_pixel: float
) -> dict[str, float]:
    """Counts of a slide's nuclei, named as those of a tile are (pipeline/nuclei/comparison.py).

    What components would have given is not known of outlines: NaN. Likewise detections where there are too many.
    """
    codes = list(range(1, len(classes)))
    per_class = instance.count_classes(overlaps, true.classes, predicted.classes, codes)
    row = all_nuclei("binary", overlaps)
    for code in codes:
        row |= named(classes[code], instance.COLUMNS, per_class[code - 1])
    radius = detection.RADIUS * PUBLISHED_MICRONS / microns_per_pixel
    detected = np.full(len(detection.DETECTION_COLUMNS), NAN)
    classified = np.full((len(codes), len(detection.CLASS_COLUMNS)), NAN)
    if max(len(true.sums), len(predicted.sums)) <= MOST:
        detected, classified = detection.count(true.middles(), predicted.middles(), codes, radius)
    row |= named("detection", detection.DETECTION_COLUMNS, detected)
    unknown = (*instance.COLUMNS, *instance.JOIN_COLUMNS)
    row |= named("components", unknown, np.full(len(unknown), NAN))
    row |= named("components_detection", detection.DETECTION_COLUMNS, np.full(len(detected), NAN))
    for code in codes:
        row |= named(f"{classes[code]}_detection", detection.CLASS_COLUMNS, classified[code - 1])
    return row
