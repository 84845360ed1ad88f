"""From overlapping tiles to one class map without a seam: whole-number sums, so that their order does not matter.

A tile's probabilities are rounded to 16 bits and weighted by whole numbers that fall towards its border. A pixel thus
has the same sum whichever block of the slide is at work, and in whatever order its tiles come.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.applying.reading import Pixels
from pipeline.applying.windows import Window
from pipeline.tiles.store import IGNORE

FULL = 65535  # a probability of 1
STEPS = 64  # of the weight between a tile's border and its middle
KEPT = 1 << 30  # bytes of probabilities that are kept in a file for the neighbouring blocks
STRIP = 256  # rows of a block that are decided at once: what numpy makes on the way takes many times their memory

Map = npt.NDArray[np.uint8]  # (H, W)
Sums = npt.NDArray[np.uint32]  # (C, H, W), or (H, W) of weights
Probabilities = npt.NDArray[np.uint16]  # (C, S, S)
Predict = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint16]]  # images (B, S, S, 3) -> (B, C, S, S)
Corner = tuple[int, int]  # top and left of a tile, px
T = TypeVar("T")


def weights(size: int, overlap: int) -> npt.NDArray[np.uint32]:
    """The weight of each pixel of a tile, (S, S): 1 at its border, rising over the overlap."""
    place = np.arange(size)
    inwards = np.minimum(np.minimum(place, size - 1 - place), max(overlap, 1) - 1)
    line = 1 + inwards * (STEPS - 1) // max(overlap - 1, 1)
    return np.multiply.outer(line, line).astype(np.uint32)


class Kept:
    """Probabilities of tiles, each (C, S, S), in a file: memory would hold no row of blocks of a wide slide."""

    def __init__(self, file: IO[bytes], classes: int, size: int) -> None:
        self._file, self._shape = file, (classes, size, size)
        self._bytes = 2 * classes * size**2
        self._places: OrderedDict[Corner, int] = OrderedDict()  # the oldest one first

    def __contains__(self, tile: Corner) -> bool:
        return tile in self._places

    def put(self, tile: Corner, found: Probabilities) -> None:
        """Keep a tile, in place of the oldest one where there are as many as may be."""
        if tile in self._places:
            return
        is_full = len(self._places) >= max(1, KEPT // self._bytes)
        place = self._places.popitem(last=False)[1] if is_full else len(self._places)
        self._file.seek(place * self._bytes)
        self._file.write(found.tobytes())
        self._places[tile] = place

    def get(self, tile: Corner) -> Probabilities:
        """A tile that is kept."""
        self._file.seek(self._places[tile] * self._bytes)
        return np.frombuffer(self._file.read(self._bytes), np.uint16).reshape(self._shape)


class Blender:
    """Predicts block after block; tiles that reach into a neighbour are kept for it.

    Args:
        file: for them, open for reading and writing.
    """

    def __init__(
        self, predict: Predict, pixels: Pixels, classes: int, size: int, overlap: int, batch: int, file: IO[bytes]
    ) -> None:
        self.predict, self.pixels, self.classes, self.size, self.batch = predict, pixels, classes, size, batch
        self.weights = weights(size, overlap)
        self._kept = Kept(file, classes, size)

    def block(self, window: Window, tiles: Sequence[Corner], told: Callable[[int], object]) -> tuple[Map, Map]:
        """Class map and probability of the class (0 to 255) of a block, as `decide` makes them of `sums`."""
        return decide(*self.sums(window, tiles, told))

    def sums(self, window: Window, tiles: Sequence[Corner], told: Callable[[int], object]) -> tuple[Sums, Sums]:
        """Weighted probabilities (C, H, W) of a block and the sum of their weights (H, W).

        Args:
            tiles: all that meet the block.
            told: of the number of tiles that were predicted.
        """
        sums = np.zeros((self.classes, window.height, window.width), np.uint32)
        total = np.zeros((window.height, window.width), np.uint32)
        for (top, left), found in self._predicted(tiles, window, told):
            inner = window.part_of(Window(top, left, self.size, self.size))
            weight = self.weights[inner.rows_from(top), inner.columns_from(left)]
            here = inner.rows_from(window.top), inner.columns_from(window.left)
            sums[:, *here] += found[:, inner.rows_from(top), inner.columns_from(left)] * weight
            total[here] += weight
        return sums, total

    def _predicted(
        self, tiles: Sequence[Corner], window: Window, told: Callable[[int], object]
    ) -> Iterator[tuple[Corner, Probabilities]]:
        new = [tile for tile in tiles if tile not in self._kept]
        batches = list(_batches(new, self.batch))
        with ThreadPoolExecutor(1) as ahead:  # the network is at the next batch while this one is added up
            waiting = deque(ahead.submit(self._predict, batch) for batch in batches[:1])
            yield from ((tile, self._kept.get(tile)) for tile in tiles if tile in self._kept)
            for number, batch in enumerate(batches):
                waiting.extend(ahead.submit(self._predict, later) for later in batches[number + 1 : number + 2])
                for tile, found in zip(batch, waiting.popleft().result(), strict=True):
                    if not window.holds(Window(*tile, self.size, self.size)):
                        self._kept.put(tile, found)
                    yield tile, found
                told(len(batch))

    def _predict(self, batch: Sequence[Corner]) -> npt.NDArray[np.uint16]:
        return self.predict(np.stack([self.pixels.read(Window(*tile, self.size, self.size)) for tile in batch]))


def decide(sums: Sums, total: Sums) -> tuple[Map, Map]:
    """Class map and probability of the class (0 to 255), each (H, W); IGNORE where no tile was."""
    classes, probability = np.zeros(total.shape, np.uint8), np.zeros(total.shape, np.uint8)
    for top in range(0, len(total), STRIP):
        rows = slice(top, top + STRIP)
        best, seen = sums[:, rows].max(axis=0), total[rows] > 0
        probability[rows][seen] = np.rint(best[seen] / total[rows][seen] * (255 / FULL))
        classes[rows] = np.where(seen, sums[:, rows].argmax(axis=0), IGNORE)
    return classes, probability


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
