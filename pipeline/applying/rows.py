"""Models that say something of a tile at once: row after row of tiles, each row kept in a file.

A row that is done is not done again after a break. What the nuclei of one row take from the next is kept with it.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image, ImageDraw

from pipeline.applying.detections import Detections
from pipeline.applying.field import Field, look, tile_grid
from pipeline.applying.inputs import OPTION
from pipeline.applying.reading import SIDE, Pixels
from pipeline.applying.results import Describe, describe_slide, picture_side, write_lines, write_picture, write_table
from pipeline.applying.scores import Scores
from pipeline.applying.task import Task
from pipeline.base.files import replacing
from pipeline.base.progress import area_bar
from pipeline.base.records import AppliedSlide
from pipeline.reporting.pictures import colours
from pipeline.slides.slide import Grid, Slide
from pipeline.slides.tiling import READERS


def work_rows(slide: Slide, name: str, out: Path, state: Path, task: Task) -> AppliedSlide:
    """Write the results of a classifier of tiles or of a detector on a slide."""
    size = task.parameters.tile_size
    grid = tile_grid(slide, size, task.parameters.overlap, task.microns_per_pixel, OPTION)
    field = look(slide, grid, task.parameters.background, task.regions)
    tints = colours(task.classes)
    describe = Describe(task.classes, tints, grid.microns_per_pixel, "detection" if task.detect else "tile")
    kept = 2 * (-(-size // SIDE) + 2) * (-(-grid.width // SIDE) + 2)
    tile_area = (grid.stride * grid.microns_per_pixel / 1000) ** 2
    paths = [state / "rows" / f"{row}.jsonl" for row in range(grid.rows)]
    with ThreadPoolExecutor(READERS) as readers, area_bar(name, field.tiles * tile_area) as bar:
        pixels = Pixels(slide, task.microns_per_pixel, task.greyscale, readers, kept)
        worker = Detections(field, pixels, task, describe) if task.detect else Scores(field, pixels, task, describe)
        carried = ""
        for row, path in enumerate(paths):
            if not path.exists():
                head, lines = worker.row(row, carried)
                with replacing(path) as temporary:
                    temporary.write_text("\n".join([json.dumps(head), *lines]) + "\n", encoding="utf-8")
            carried = _head(path)["carried"]
            bar.update(np.count_nonzero(field.chosen[row]) * tile_area)
    heads = [_head(path) for path in paths]
    areas = [sum(head["pixels"][code] for head in heads) for code in range(len(task.classes))]
    nuclei = [sum(head["nuclei"][code] for head in heads) for code in range(len(task.classes))] if task.detect else None
    write_lines(out / f"{name}.{task.kinds[0]}", chain.from_iterable(map(_lines, paths)))
    write_table(out / f"{name}.csv", task.classes, areas, nuclei, grid.microns_per_pixel)
    counts = _drawn(paths, grid, task) if task.detect else _spread(heads, field, len(task.classes))
    write_picture(out / f"{name}.png", slide, grid, counts, tints, task.background)
    return describe_slide(slide, name, field, task, areas, nuclei)


def _head(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        return json.loads(file.readline())


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        file.readline()
        for line in file:
            yield line.rstrip("\n")


def _spread(heads: list[Any], field: Field, classes: int) -> npt.NDArray[np.float32]:
    """The probability of each class in every pixel of the picture, (C, h, w), times the pixels of the grid in it."""
    grid, side = field.grid, picture_side(field.grid)
    of_tiles = np.zeros((classes, grid.rows, grid.columns), np.float32)
    for row, head in enumerate(heads):
        for column, values in head["scores"]:
            of_tiles[:, row, column] = values
    rows, columns = (np.arange(-(-length // side)) * side // grid.stride for length in (grid.height, grid.width))
    return of_tiles[:, np.minimum(rows, grid.rows - 1)[:, None], np.minimum(columns, grid.columns - 1)] * side**2


def _drawn(paths: list[Path], grid: Grid, task: Task) -> npt.NDArray[np.float32]:
    """The nuclei of each class as they lie on the picture, (C, h, w), times the pixels of the grid in one of it."""
    side = picture_side(grid)
    images = [Image.new("1", (-(-grid.width // side), -(-grid.height // side))) for _ in task.classes]
    for line in chain.from_iterable(map(_lines, paths)):
        feature = json.loads(line)
        ring = np.array(shapely.geometry.shape(feature["geometry"]).exterior.coords) / grid.downsample / side
        code = list(task.classes).index(feature["properties"]["classification"]["name"])
        ImageDraw.Draw(images[code]).polygon([(x, y) for x, y in ring - 0.5], fill=1)
    return np.stack([np.asarray(image, np.float32) for image in images]) * side**2
