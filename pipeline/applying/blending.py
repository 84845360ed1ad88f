"""From overlapping tiles to one class map without a seam: whole-number sums, so that their order does not matter.

A tile's probabilities are rounded to 16 bits and weighted by whole numbers that fall towards its border. A pixel thus
has the same sum whichever block of the slide is at work, and in whatever order its tiles come.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.applying.reading import Pixels
from pipeline.applying.windows import Window
from pipeline.tiles.store import IGNORE

FULL = 65535  # a probability of 1
STEPS = 64  # of the weight between a tile's border and its middle
KEPT = 256 << 20  # bytes of probabilities that are kept for the neighbouring blocks

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


class Blender:
    """Predicts block after block; tiles that reach into a neighbour are kept for it, as many as fit."""

    def __init__(self, predict: Predict, pixels: Pixels, classes: int, size: int, overlap: int, batch: int) -> None:
        self.predict, self.pixels, self.classes, self.size, self.batch = predict, pixels, classes, size, batch
        self.weights = weights(size, overlap)
        self._kept: OrderedDict[Corner, Probabilities] = OrderedDict()

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
            yield from [(tile, self._kept[tile]) for tile in tiles if tile in self._kept]
            for number, batch in enumerate(batches):
                waiting.extend(ahead.submit(self._predict, later) for later in batches[number + 1 : number + 2])
                for tile, found in zip(batch, waiting.popleft().result(), strict=True):
                    if not window.holds(Window(*tile, self.size, self.size)):
                        self._keep(tile, found.copy())  # of its own, not a part of the batch
                    yield tile, found
                told(len(batch))

    def _predict(self, batch: Sequence[Corner]) -> npt.NDArray[np.uint16]:
        return self.predict(np.stack([self.pixels.read(Window(*tile, self.size, self.size)) for tile in batch]))

    def _keep(self, tile: Corner, found: Probabilities) -> None:
        self._kept[tile] = found
        while len(self._kept) * found.nbytes > KEPT:
            self._kept.popitem(last=False)


def decide(sums: Sums, total: Sums) -> tuple[Map, Map]:
    """Class map and probability of the class (0 to 255), each (H, W); IGNORE where no tile was."""
    classes = sums.argmax(axis=0).astype(np.uint8)
    best = np.take_along_axis(sums, classes[None].astype(np.intp), axis=0)[0]
    seen = total > 0
    probability = np.zeros(classes.shape, np.uint8)
    probability[seen] = np.rint(best[seen] / total[seen] * (255 / FULL))
    classes[~seen] = IGNORE
    return classes, probability


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
