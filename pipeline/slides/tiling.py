"""Select the tiles of a slide: all with a lesion, and some without, drawn at random.

A slide has tens of thousands of tiles, few of them worth reading. Tiles with a lesion are known from the outlines.
They are kept whatever they look like, since somebody outlined them. Tiles without are drawn in random order from those
that an overview does not show as plain glass, and read until there are enough; those whose RGB standard deviation is
too small are background and dropped. No tile is read twice, and no more of them are in memory than are being read.
"""

import itertools
import math
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.base.params import Tiling
from pipeline.slides.annotations import Annotations, Bits, Map, Position
from pipeline.slides.slide import Grid, Pixels, Slide, spread
from pipeline.tiles.store import IGNORE

T = TypeVar("T")
TileMask = npt.NDArray[np.bool_]  # (rows, columns) of a grid

PATCH = 16  # px of the overview on a side of a tile, at least
SHARP = 1024  # px of the overview's longer side, at least
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
READERS = min(8, CORES)  # threads: OpenSlide decodes without holding Python's lock; one writer keeps pace with so many
AHEAD = 4  # tiles for each of them that are read before they are asked for
GLASS = 0.25  # of the background threshold: what an overview must show of a tile with tissue

LESION, FREE, BACKGROUND, GLASSY, UNDRAWN = "lesion", "lesion-free", "background", "glass", "not drawn"
UNKNOWN = "not annotated"


@dataclass
class Candidate:
    """A tile of the grid: where it is, whether it is kept, and why not."""

    position: Position
    state: str  # LESION and FREE are kept, the others not
    lesion_pixels: int = 0
    spread: float = math.nan  # RGB standard deviation; unknown where the tile was not read


class ReadTile(NamedTuple):
    """What a tile has, beyond the slide's border white, IGNORE and no lesion."""

    pixels: Pixels  # (S, S, 3)
    spread: float
    classes: Map  # (S, S)
    bits: Bits  # (S, S)
    overlap: int  # px that several classes claim


@dataclass
class Selection:
    """The tiles of a slide, row after row. All are UNDRAWN, GLASSY or UNKNOWN until `tiles` has read some."""

    slide: Slide
    annotations: Annotations
    settings: Tiling
    grid: Grid
    index: list[Candidate]
    overview: Pixels
    overview_downsample: int
    outlines: dict[Position, list[int]]  # numbers of those that a tile meets
    at_most: int  # tiles that can be kept; fewer are where many turn out to be background

    def tiles(self) -> Iterator[tuple[Candidate, ReadTile]]:
        """The kept tiles, those with a lesion first, read by as many threads as there are cores; once."""
        lesions = 0
        with ThreadPoolExecutor(READERS) as pool:
            candidates = [tile for tile in self.index if tile.position in self.outlines]
            for tile, read in _ahead(pool, self._read_lesion, candidates):
                if read:
                    tile.state, tile.spread, tile.lesion_pixels = LESION, read.spread, int(np.count_nonzero(read.bits))
                    lesions += 1
                    yield tile, read
            wanted = lesion_free_wanted(lesions, self.settings)
            for tile, read in _ahead(pool, self._read_free, self._shuffled() if wanted else []):
                if not read:
                    tile.state = UNKNOWN
                    continue
                tile.state = BACKGROUND if read.spread < self.settings.background else FREE
                tile.spread = read.spread
                if tile.state == FREE:
                    yield tile, read
                    wanted -= 1
                if not wanted:
                    break

    def _shuffled(self) -> list[Candidate]:
        """Lesion-free tiles that show tissue, in random order that depends on seed and slide alone."""
        tiles = [tile for tile in self.index if tile.state == UNDRAWN]
        rng = np.random.default_rng([self.settings.seed, zlib.crc32(self.slide.path.stem.encode())])
        return [tiles[number] for number in rng.permutation(len(tiles))]

    def _read_lesion(self, tile: Candidate) -> ReadTile | None:
        """A tile that an outline meets; nothing if the outline holds no pixel's centre."""
        drawn = self.annotations.draw(self.grid, tile.position, self.outlines[tile.position])
        return self._read(tile, drawn) if drawn[1].any() else None

    def _read_free(self, tile: Candidate) -> ReadTile | None:
        """A tile without a lesion; nothing if all of it counts nowhere."""
        drawn = self.annotations.draw(self.grid, tile.position, self.outlines.get(tile.position, []))
        return self._read(tile, drawn) if (drawn[0] != IGNORE).any() else None

    def _read(self, tile: Candidate, drawn: tuple[Map, Bits, int]) -> ReadTile:
        size = self.grid.tile_size
        pixels = self.slide.read(self.grid, *tile.position)
        deviation = spread(pixels)
        if pixels.shape != (size, size, 3):
            rest = [(0, size - length) for length in pixels.shape[:2]]
            pixels = np.pad(pixels, (*rest, (0, 0)), constant_values=255)
        return ReadTile(pixels, deviation, *drawn)


def _ahead(
    pool: ThreadPoolExecutor, read: Callable[[Candidate], T], tiles: list[Candidate]
) -> Iterator[tuple[Candidate, T]]:
    """What `read` makes of tiles, in their order; some are read ahead of the one that is asked for."""
    rest = iter(tiles)
    waiting = deque((tile, pool.submit(read, tile)) for tile in itertools.islice(rest, READERS * AHEAD))
    try:
        while waiting:
            tile, future = waiting.popleft()
            waiting.extend((tile, pool.submit(read, tile)) for tile in itertools.islice(rest, 1))
            yield tile, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def select_tiles(slide: Slide, annotations: Annotations, settings: Tiling) -> Selection:
    """Prepare the selection of a slide's tiles; the same ones are kept each time, whatever the number of threads."""
    grid = slide.grid(settings.tile_size, settings.stride, settings.microns_per_pixel)
    finest = max(slide.width, slide.height) // SHARP
    downsample = max(1, min(int(grid.tile_size * grid.downsample / PATCH), finest))
    overview = slide.overview(downsample)
    tissue = shows_tissue(grid, overview, grid.downsample / downsample, GLASS * settings.background)
    counts = annotations.counts(grid)
    index = [
        Candidate(
            (column, row),
            UNKNOWN
            if counts is not None and (column, row) not in counts
            else UNDRAWN
            if tissue[row, column]
            else GLASSY,
        )
        for row, column in np.ndindex(tissue.shape)
    ]
    outlines = annotations.tiles(grid)
    free = sum(tile.state == UNDRAWN and tile.position not in outlines for tile in index)
    at_most = len(outlines) + min(free, lesion_free_wanted(len(outlines), settings))
    return Selection(slide, annotations, settings, grid, index, overview, downsample, outlines, at_most)


def lesion_free_wanted(lesions: int, settings: Tiling) -> int:
    """How many lesion-free tiles to keep, if the slide has so many."""
    return max(settings.at_least, math.floor(lesions * settings.lesion_free))


def shows_tissue(grid: Grid, overview: Pixels, scale: float, threshold: float) -> TileMask:
    """Which tiles (rows, columns) an overview does not show as plain glass; `scale` is px of it on one px of a tile.

    An overview smooths, so its standard deviation is compared with a part of the threshold; stain alone, without any
    texture, is well above it, since its channels differ.
    """
    tissue = np.zeros((grid.rows, grid.columns), np.bool_)
    for row, column in np.ndindex(tissue.shape):
        x, y = column * grid.stride * scale, row * grid.stride * scale
        right, bottom = x + grid.tile_size * scale, y + grid.tile_size * scale
        patch = overview[round(y) : round(bottom), round(x) : round(right)]
        tissue[row, column] = patch.size > 0 and patch.std() >= threshold
    return tissue
