"""Outlines and masks as class map and nuclei of any window of a slide, at the resolution of a model."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import shapely

from pipeline.applying.results import read_lines
from pipeline.applying.windows import Window
from pipeline.slides import polygons
from pipeline.slides.annotations import Annotations, rings_of
from pipeline.slides.polygons import Ring
from pipeline.tiles.store import IGNORE

Codes = npt.NDArray[np.uint8]  # (H, W)
Numbers = npt.NDArray[np.int32]  # (H, W), 0 = none


class Maps(Protocol):
    """What is annotated, or was found, on a slide."""

    @property
    def nuclei(self) -> dict[int, int]:
        """The class of each nucleus, by its number."""

    def read(self, window: Window, downsample: float) -> tuple[Codes, Numbers]:
        """Class map (IGNORE where nothing counts) and numbers of nuclei in a window.

        Args:
            window: px at a resolution with
            downsample: px of the slide on one of them.
        """


class Outlines:
    """Polygons on a slide; a pixel belongs to the last one that holds its centre.

    Args:
        shapes: the rings of each, px of the slide.
        codes: of their classes; those of the first class are no nuclei.
        elsewhere: code of what lies in none.
        regions: rings of the areas outside of which nothing counts; None: all counts.
    """

    def __init__(
        self,
        shapes: Sequence[Sequence[Ring]],
        codes: Sequence[int],
        elsewhere: int,
        regions: Sequence[Sequence[Ring]] | None = None,
    ) -> None:
        self.shapes, self.codes, self.elsewhere, self.regions = shapes, codes, elsewhere, regions
        self.nuclei = {number: code for number, code in enumerate(codes, start=1) if code not in (0, IGNORE)}
        self._tree, self._region_tree = _tree(shapes), _tree(regions or [])

    @classmethod
    def annotated(cls, found: Annotations) -> "Outlines":
        """What a person drew."""
        regions = None if found.regions is None else [rings_of(shape) for shape in found.regions]
        return cls([rings_of(shape) for shape in found.shapes], found.codes, found.elsewhere, regions)

    @classmethod
    def of_results(cls, path: Path, classes: Sequence[str], elsewhere: int) -> "Outlines":
        """What a model found, as `results.write_lines` wrote it."""
        shapes, codes, of = [], [], {name: code for code, name in enumerate(classes)}
        for line in read_lines(path):
            feature = json.loads(line)
            shapes.append([np.array(ring[:-1], np.float64) for ring in feature["geometry"]["coordinates"]])
            codes.append(of[feature["properties"]["classification"]["name"]])
        return cls(shapes, codes, elsewhere)

    def read(self, window: Window, downsample: float) -> tuple[Codes, Numbers]:
        """See `Maps`."""
        classes = np.full((window.height, window.width), self.elsewhere, np.uint8)
        numbers = np.zeros(classes.shape, np.int32)
        for number in _met(self._tree, window, downsample):
            place, inside = _drawn(self.shapes[number], window, downsample)
            classes[place][inside] = self.codes[number]
            numbers[place][inside] = number + 1 if number + 1 in self.nuclei else 0
        if self.regions is not None:
            outside = np.ones(classes.shape, np.bool_)
            for number in _met(self._region_tree, window, downsample):
                place, inside = _drawn(self.regions[number], window, downsample)
                outside[place] &= ~inside
            classes[outside] = IGNORE
        numbers[classes == IGNORE] = 0
        return classes, numbers


class Pixels:
    """A mask of the size of a slide, of which each pixel of a window takes what lies at its centre."""

    def __init__(self, classes: Codes, numbers: Numbers, nuclei: dict[int, int]) -> None:
        self.classes, self.numbers, self.nuclei = classes, numbers, nuclei

    def read(self, window: Window, downsample: float) -> tuple[Codes, Numbers]:
        """See `Maps`."""
        places = (np.arange(window.top, window.bottom), np.arange(window.left, window.right))
        rows, columns = (
            np.minimum(((place + 0.5) * downsample).astype(np.int64), length - 1)
            for place, length in zip(places, self.classes.shape, strict=True)
        )
        here = np.ix_(rows, columns)
        return self.classes[here], self.numbers[here]


def _tree(shapes: Sequence[Sequence[Ring]]) -> shapely.STRtree:
    ends = np.array([[*rings[0].min(axis=0), *rings[0].max(axis=0)] for rings in shapes]).reshape(-1, 4)
    return shapely.STRtree(shapely.box(*ends.T))


def _met(tree: shapely.STRtree, window: Window, downsample: float) -> Iterable[int]:
    """Shapes whose box meets a window, in their order."""
    ends = np.array([window.left, window.top, window.right, window.bottom]) * downsample
    return sorted(tree.query(shapely.box(*ends)).tolist())


def _drawn(
    rings: Sequence[Ring], window: Window, downsample: float
) -> tuple[tuple[slice, slice], npt.NDArray[np.bool_]]:
    """Rows and columns of a window in which a shape lies, and its pixels there."""
    moved = [ring / downsample - (window.left, window.top) for ring in rings]
    place = polygons.window(moved, window.height, window.width)
    return place, polygons.rasterise(moved, *place)
