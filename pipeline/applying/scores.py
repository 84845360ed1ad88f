"""What a classifier of tiles says of each tile of a slide: a square with the probability of its class."""

from typing import Any

import numpy as np

from pipeline.applying.blending import FULL
from pipeline.applying.field import Field, corners
from pipeline.applying.reading import Pixels
from pipeline.applying.results import Describe
from pipeline.applying.task import Task
from pipeline.applying.windows import Window


class Scores:
    """Works through rows of tiles that lie side by side."""

    def __init__(self, field: Field, pixels: Pixels, task: Task, describe: Describe) -> None:
        self.field, self.pixels, self.task, self.describe = field, pixels, task, describe

    def row(self, row: int, carried: str) -> tuple[dict[str, Any], list[str]]:
        """What is kept of a row of tiles: sums, probabilities by column, and a square of GeoJSON for each tile."""
        assert self.task.predict is not None
        size, classes, lines = self.field.grid.tile_size, len(self.task.classes), []
        head: dict[str, Any] = {"pixels": [0] * classes, "scores": [], "carried": ""}
        columns = [column for column in np.flatnonzero(self.field.chosen[row]).tolist() if self._counts(row, column)]
        windows = [Window(row * size, column * size, size, size) for column in columns]
        for start in range(0, len(columns), self.task.batch):
            self.pixels.prepare(windows[start : start + 2 * self.task.batch])
            images = np.stack([self.pixels.read(window) for window in windows[start : start + self.task.batch]])
            for column, found in zip(columns[start:], self.task.predict(images)[..., 0, 0], strict=False):
                code, square = int(found.argmax()), self.field.inside(row, column)
                head["scores"].append([column, [round(float(value) / FULL, 6) for value in found]])
                head["pixels"][code] += square.height * square.width
                ring = np.array(
                    [
                        (square.left, square.top),
                        (square.right, square.top),
                        (square.right, square.bottom),
                        (square.left, square.bottom),
                    ]
                )
                rings, area = corners(self.field.grid, [ring]), square.height * square.width
                lines.append(self.describe(code, rings, area, found[code] / FULL))
        return head, lines

    def _counts(self, row: int, column: int) -> bool:
        """Whether at least half of a tile lies in the regions that a person drew, if any."""
        square = self.field.inside(row, column)
        regions = self.task.regions
        return regions is None or bool(regions.mask(square, self.field.grid.downsample).mean() >= 0.5)
