"""A slide's pixels at the model's resolution, read in squares of one fixed grid.

Each square is read once, ahead of its use and by several threads, and is the same whoever asks for it: what a tile sees
does not depend on the block that it is read for.
"""

from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.applying.windows import Window
from pipeline.slides.slide import Slide

SIDE = 512  # px of a square
Picture = npt.NDArray[np.uint8]  # (H, W, 3)


class Pixels:
    """The pixels of a slide; white beyond its border.

    Args:
        kept: squares that are in memory at once, at most.
    """

    def __init__(
        self, slide: Slide, microns_per_pixel: float, greyscale: bool, pool: ThreadPoolExecutor, kept: int
    ) -> None:
        self.grid = slide.grid(SIDE, SIDE, microns_per_pixel)
        self._slide, self._greyscale, self._pool, self._kept = slide, greyscale, pool, kept
        self._squares: OrderedDict[tuple[int, int], Future[Picture]] = OrderedDict()

    def prepare(self, windows: Iterable[Window]) -> None:
        """Begin to read what windows will need."""
        for window in windows:
            for position in self._positions(window):
                self._square(*position)

    def read(self, window: Window) -> Picture:
        """The pixels of a window, (height, width, 3)."""
        picture = np.full((window.height, window.width, 3), 255, np.uint8)
        for row, column in self._positions(window):
            square = self._square(row, column).result()
            top, left = row * SIDE, column * SIDE
            part = window.part_of(Window(top, left, *square.shape[:2]))
            here = part.rows_from(window.top), part.columns_from(window.left)
            picture[here] = square[part.rows_from(top), part.columns_from(left)]
        return picture

    def _positions(self, window: Window) -> Iterable[tuple[int, int]]:
        inside = window.part_of(Window(0, 0, self.grid.height, self.grid.width))
        for row in range(inside.top // SIDE, -(-inside.bottom // SIDE)):
            for column in range(inside.left // SIDE, -(-inside.right // SIDE)):
                yield row, column

    def _square(self, row: int, column: int) -> "Future[Picture]":
        if (row, column) not in self._squares:
            self._squares[row, column] = self._pool.submit(self._read, row, column)
        self._squares.move_to_end((row, column))
        found = self._squares[row, column]
        while len(self._squares) > self._kept:
            self._squares.popitem(last=False)[1].cancel()
        return found

    def _read(self, row: int, column: int) -> Picture:
        pixels = self._slide.read(self.grid, column, row)
        return np.asarray(Image.fromarray(pixels).convert("L").convert("RGB")) if self._greyscale else pixels
