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
    """The pixels of a slide; beyond its border their mirror image (Ronneberger et al., 2015, "overlap-tile strategy"):
    a white margin is what no network saw in training, and changes what it says of the tissue before it.

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
        source = self._source(window)
        picture = np.empty((source.height, source.width, 3), np.uint8)
        for row, column in self._positions(window):
            square = self._square(row, column).result()
            top, left = row * SIDE, column * SIDE
            part = source.part_of(Window(top, left, *square.shape[:2]))
            here = part.rows_from(source.top), part.columns_from(source.left)
            picture[here] = square[part.rows_from(top), part.columns_from(left)]
        if source == window:
            return picture
        rows = mirrored(window.top, window.bottom, self.grid.height) - source.top
        columns = mirrored(window.left, window.right, self.grid.width) - source.left
        return picture[rows[:, None], columns]

    def _source(self, window: Window) -> Window:
        """What of the slide a window that begins on it shows."""
        rows = mirrored(window.top, window.bottom, self.grid.height)
        columns = mirrored(window.left, window.right, self.grid.width)
        top, left = int(rows.min()), int(columns.min())
        return Window(top, left, int(rows.max()) + 1 - top, int(columns.max()) + 1 - left)

    def _positions(self, window: Window) -> Iterable[tuple[int, int]]:
        source = self._source(window)
        for row in range(source.top // SIDE, -(-source.bottom // SIDE)):
            for column in range(source.left // SIDE, -(-source.right // SIDE)):
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


def mirrored(start: int, stop: int, length: int) -> npt.NDArray[np.int64]:
    """Places from `start` to `stop` of a line with so many px, those beyond its end counted back from there."""
    places = np.arange(start, stop) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)
