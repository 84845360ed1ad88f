"""A drawn slide whose pixels have the colour of their class, and a network that reads the class off the colour."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.applying.blending import FULL
from pipeline.applying.field import Regions
from pipeline.applying.task import Task
from pipeline.base.records import AppliedParameters
from pipeline.slides.annotations import read_annotations
from pipeline.slides.slide import Slide
from tests.records import APPLIED
from tests.slide_files import write_tiff

CLASSES = ("background", "tumour", "stroma")
MICRONS = 0.5  # of a pixel that the network sees
COLOURS = np.array([(235, 235, 235), (150, 40, 120), (220, 130, 170)], np.uint8)
PARAMETERS = APPLIED.model_copy(
    update={"tile_size": 32, "overlap": 8, "background": 0.0, "instances": "components", "minimum_size": 1}
)


@dataclass
class Drawn:
    """What is true of a slide, at the model's resolution."""

    classes: npt.NDArray[np.uint8]  # (H, W)
    nuclei: npt.NDArray[np.int32]  # (H, W)

    def write(self, path: Path, zoom: int = 1) -> Path:
        """As a slide that has `zoom` px on a side for each pixel of the maps."""
        pixels = COLOURS[self.classes].repeat(zoom, axis=0).repeat(zoom, axis=1)
        return write_tiff(path, pixels, MICRONS / zoom)


def draw_nuclei(height: int, width: int, seed: int = 0, count: int = 200) -> Drawn:
    """Ellipses of two classes that do not touch, some across every border that there may be."""
    rng = np.random.default_rng(seed)
    drawn = Drawn(np.zeros((height, width), np.uint8), np.zeros((height, width), np.int32))
    rows, columns = np.mgrid[:height, :width]
    for number in range(1, count + 1):
        y, x, a, b = rng.integers(0, height), rng.integers(0, width), *rng.uniform(2, 9, 2)
        inside = ((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 <= 1
        near = ((rows - y) / (a + 2)) ** 2 + ((columns - x) / (b + 2)) ** 2 <= 1
        if not drawn.nuclei[near].any():
            drawn.nuclei[inside] = number
            drawn.classes[inside] = rng.integers(1, 3)
    return drawn


def draw_areas(height: int, width: int, seed: int = 0) -> Drawn:
    """Blobs of two classes, with holes, islands and single pixels."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(height, width)), 3)
    classes = np.digitize(noise, np.quantile(noise, [0.4, 0.75])).astype(np.uint8)
    speckled = rng.random(classes.shape) < 0.02
    classes[speckled] = rng.integers(0, 3, int(speckled.sum()))
    return Drawn(classes, np.zeros(classes.shape, np.int32))


def predict(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Probability 1 of the class whose colour a pixel has."""
    distance = ((images[:, None].astype(int) - COLOURS[:, None, None].astype(int)) ** 2).sum(axis=-1)
    found = np.zeros(distance.shape, np.uint16)
    np.put_along_axis(found, distance.argmin(axis=1)[:, None], FULL, axis=1)
    return found


def task(regions: Path | None = None, **changes: Any) -> Task:
    """Apply `predict`; changes of the task, or of its parameters, by name."""
    own = {key: value for key, value in changes.items() if key in AppliedParameters.model_fields}
    parameters = PARAMETERS.model_copy(update=own)
    found = None if regions is None else Regions(regions)
    whole = Task(predict, "0" * 64, CLASSES, MICRONS, False, parameters, found, batch=4, block=96, cell=80, margin=32)
    return replace(whole, **{key: value for key, value in changes.items() if key not in own})


def read_back(path: Path, slide: Path) -> Drawn:
    """The maps that a GeoJSON holds, read as annotations are."""
    codes = {name: code for code, name in enumerate(CLASSES) if code}
    found = read_annotations(path, codes)
    assert not found.repaired and not found.left_out
    with Slide(slide) as opened:
        found.check_place(opened.width, opened.height)
        assert not found.clipped
        grid = opened.grid(64, 64, MICRONS)
    classes = np.zeros((grid.rows * 64, grid.columns * 64), np.uint8)
    nuclei = np.zeros(classes.shape, np.int32)
    for (column, row), shapes in found.tiles(grid).items():
        here = slice(row * 64, row * 64 + 64), slice(column * 64, column * 64 + 64)
        for shape in shapes:
            inside = found.draw(grid, (column, row), [shape])[1] > 0
            assert not nuclei[here][inside].any()  # no pixel is in two objects
            nuclei[here][inside] = shape + 1
            classes[here][inside] = found.codes[shape]
    return Drawn(classes[: grid.height, : grid.width], nuclei[: grid.height, : grid.width])


def features(path: Path) -> list[Any]:
    return json.loads(path.read_text(encoding="utf-8"))["features"]  # type: ignore[no-any-return]
