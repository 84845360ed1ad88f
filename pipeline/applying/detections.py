"""The nuclei that a detector finds in overlapping tiles, each written once, and whole.

A tile keeps the nuclei whose middle lies in its core, which ends in the middle of its overlap with a neighbour: there
it sees them whole. What the tile's border cuts is left to the neighbour. Of two tiles that find a nucleus at the border
of their cores the earlier one has it; of two nuclei in one tile that share pixels the surer one has them.
"""

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.applying.field import Field, Mask, corners, whole
from pipeline.applying.nuclei import largest_piece
from pipeline.applying.reading import Pixels
from pipeline.applying.results import Describe
from pipeline.applying.task import Task
from pipeline.applying.windows import Window
from pipeline.slides.outlines import outlines
from pipeline.tiles.objects import Objects

SLACK = 8  # px by which cores reach over each other, since two tiles see a nucleus's middle in two places


class Detections:
    """Works through rows of overlapping tiles; a row hands the pixels that are taken to the next."""

    def __init__(self, field: Field, pixels: Pixels, task: Task, describe: Describe) -> None:
        self.field, self.pixels, self.task, self.describe = field, pixels, task, describe

    def row(self, row: int, carried: str) -> tuple[dict[str, Any], list[str]]:
        """What is kept of a row of tiles: sums, what is taken of the next row, and the outlines of its nuclei."""
        assert self.task.detect is not None
        grid, classes = self.field.grid, len(self.task.classes)
        head: dict[str, Any] = {"pixels": [0] * classes, "nuclei": [0] * classes}
        band = whole(grid).part_of(Window(row * grid.stride, 0, grid.tile_size, grid.width))
        taken: Mask = np.zeros((band.height, band.width), np.bool_)
        if carried:
            bits = np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(carried)), np.uint8))
            height = bits.size // grid.width
            taken[:height] = bits[: height * grid.width].reshape(height, grid.width)[: band.height]
        lines = []
        background = 0 if self.task.background is None else self.task.background
        columns = np.flatnonzero(self.field.chosen[row]).tolist()
        for number, column in enumerate(columns):
            tiles = [self._tile(row, each) for each in columns[number : number + 2]]
            self.pixels.prepare(tiles)
            found = self.task.detect(self.pixels.read(tiles[0]))
            head["pixels"][background] += self._looked_at(row, column)
            for code, score, rings, area in self._kept(row, column, found, taken):
                head["nuclei"][code] += 1
                head["pixels"][code] += area
                head["pixels"][background] -= area
                lines.append(self.describe(code, corners(grid, rings), area, score))
        rest = taken[grid.stride :]
        head["carried"] = base64.b64encode(zlib.compress(np.packbits(rest).tobytes(), 1)).decode()
        return head, lines

    def _kept(self, row: int, column: int, found: Objects, taken: Mask) -> list[tuple[int, float, list[Any], int]]:
        """Class, score, rings and pixels of the nuclei of a tile; their pixels are taken from then on."""
        tile, inside = self._tile(row, column), self.field.inside(row, column)
        core, slide = self._core(row, column), whole(self.field.grid)
        here = slice(0, inside.height), inside.columns_from(0)
        regions = self.task.regions
        mask = None if regions is None else regions.mask(inside, self.field.grid.downsample)
        labels: npt.NDArray[np.int32] = np.zeros((inside.height, inside.width), np.int32)
        kept: dict[int, int] = {}
        for place in np.argsort(-found.scores, kind="stable").tolist():
            pixels = found.masks[place][: inside.height, : inside.width]
            ys, xs = np.nonzero(pixels)
            if not len(ys):
                continue
            cut = (
                (ys[0] == 0 and tile.top > slide.top)
                or (xs.min() == 0 and tile.left > slide.left)
                or (ys[-1] == tile.height - 1 and tile.bottom < slide.bottom)
                or (xs.max() == tile.width - 1 and tile.right < slide.right)
            )
            y, x = tile.top + ys.mean(), tile.left + xs.mean()
            if cut or not (core.top <= y < core.bottom and core.left <= x < core.right):
                continue
            if mask is not None and 2 * np.count_nonzero(mask[pixels]) < len(ys):
                continue
            free = pixels & ~taken[here]
            if 2 * np.count_nonzero(free) <= len(ys):
                continue  # found before
            free = largest_piece(free)
            if np.count_nonzero(free) < max(1, self.task.parameters.minimum_size):
                continue
            taken[here] |= free
            labels[free], kept[len(kept) + 1] = len(kept) + 1, place
        areas = np.bincount(labels.ravel())
        return [
            (
                int(found.labels[kept[name]]),
                float(found.scores[kept[name]]),
                [ring + np.array([tile.left, tile.top]) for ring in rings],
                int(areas[name]),
            )
            for name, rings in outlines(labels)
        ]

    def _tile(self, row: int, column: int) -> Window:
        grid = self.field.grid
        return Window(row * grid.stride, column * grid.stride, grid.tile_size, grid.tile_size)

    def _core(self, row: int, column: int) -> Window:
        """Where a tile's nuclei have their middles: up to the middle of the overlap where there is a neighbour."""
        chosen, half = self.field.chosen, (self.field.grid.tile_size - self.field.grid.stride) // 2 - SLACK // 2
        inner = max(half, 0)
        tile = self._tile(row, column)
        above, left = row > 0 and chosen[row - 1, column], column > 0 and chosen[row, column - 1]
        below = row + 1 < chosen.shape[0] and chosen[row + 1, column]
        right = column + 1 < chosen.shape[1] and chosen[row, column + 1]
        top, start = tile.top + inner * int(above), tile.left + inner * int(left)
        return Window(top, start, tile.bottom - inner * int(below) - top, tile.right - inner * int(right) - start)

    def _looked_at(self, row: int, column: int) -> int:
        """Pixels of the slide that no earlier tile saw."""
        inside, overlap = self.field.inside(row, column), self.field.grid.tile_size - self.field.grid.stride
        seen = np.zeros((inside.height, inside.width), np.bool_)
        chosen = self.field.chosen
        if row:
            for side, part in ((-1, slice(0, overlap)), (0, slice(None)), (1, slice(self.field.grid.stride, None))):
                if 0 <= column + side < chosen.shape[1] and chosen[row - 1, column + side]:
                    seen[:overlap, part] = True
        if column and chosen[row, column - 1]:
            seen[:, :overlap] = True
        if self.task.regions is not None:
            seen |= ~self.task.regions.mask(inside, self.field.grid.downsample)
        return int(np.count_nonzero(~seen))
