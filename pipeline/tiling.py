"""Choose the tiles of a slide: all with a lesion, and some without, drawn at random.

A slide has tens of thousands of tiles, few of them worth reading. Tiles with a lesion are known from the outlines.
They are kept whatever they look like, since somebody outlined them. Tiles without are drawn in random order from those
that an overview does not show as plain glass, and read until there are enough; those whose RGB standard deviation is
too small are background and dropped.
"""

import itertools
import math
import tempfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO

import numpy as np
import numpy.typing as npt

from pipeline.annotations import Annotations, Position
from pipeline.params import Tiling
from pipeline.slides import Grid, Pixels, Slide, spread

Worth = npt.NDArray[np.bool_]  # (rows, columns) of a grid

PATCH = 16  # px of the overview on a side of a tile, at least
SHARP = 1024  # px of the overview's longer side, at least
READERS = 2  # threads; OpenSlide decodes without holding Python's lock
AHEAD = 8  # tiles that are read before they are asked for
IN_MEMORY = 256 << 20  # bytes of a slide's kept tiles; more of them go to a temporary file
GLASS = 0.25  # of the background threshold: what an overview must show for a tile to be worth reading

LESION, FREE, BACKGROUND, GLASSY, UNDRAWN = "lesion", "lesion-free", "background", "glass", "not drawn"


@dataclass
class Considered:
    """A tile of the index: where it is, whether it is kept, and why not."""

    column: int
    row: int
    state: str  # LESION and FREE are kept, the others not
    lesion_pixels: int = 0
    spread: float = math.nan  # RGB standard deviation; unknown where the tile was not read


@dataclass
class Chosen:
    """The tiles of a slide: the index of all, and the pixels of those that are kept, to disk if many."""

    grid: Grid
    index: list[Considered]
    overview: Pixels
    overview_downsample: int
    met: dict[Position, list[int]]  # outlines that tiles meet
    kept: list[Considered] = field(default_factory=list)
    spool: IO[bytes] = field(default_factory=lambda: tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115

    def keep(self, tile: Considered, pixels: Pixels) -> None:
        """Add a tile to the kept ones."""
        self.spool.write(np.ascontiguousarray(pixels).data)
        self.kept.append(tile)

    def images(self) -> Iterator[Pixels]:
        """The kept tiles' pixels in order, (S, S, 3), white beyond the slide. To be read once."""
        size = self.grid.tile_size
        with self.spool as spool:
            spool.seek(0)
            for tile in self.kept:
                width, height = self.grid.inside(tile.column, tile.row)
                image = np.full((size, size, 3), 255, np.uint8)
                part = np.frombuffer(spool.read(width * height * 3), np.uint8).reshape(height, width, 3)
                image[:height, :width] = part
                yield image


def choose(slide: Slide, annotations: Annotations, settings: Tiling) -> Chosen:
    """Choose and read the tiles of a slide; the same ones each time, whatever the number of threads."""
    grid = slide.grid(settings.tile_size, settings.stride, settings.microns_per_pixel)
    finest = max(slide.width, slide.height) // SHARP
    downsample = max(1, min(int(grid.tile_size * grid.downsample / PATCH), finest))
    overview = slide.overview(downsample)
    met = annotations.tiles(grid)
    lesions: list[Considered] = []
    for position, shapes in met.items():
        width, height = grid.inside(*position)
        count = int((annotations.draw(grid, position, shapes)[0][:height, :width] > 0).sum())
        if count:
            lesions.append(Considered(*position, LESION, count))
    chosen = Chosen(grid, lesions.copy(), overview, downsample, met)
    worth = worth_reading(chosen, settings)
    with ThreadPoolExecutor(READERS) as pool:
        for tile, pixels in _read(pool, slide, grid, lesions):
            chosen.keep(tile, pixels)
        wanted = max(settings.at_least, math.floor(len(chosen.kept) * settings.lesion_free))
        enough = len(chosen.kept) + wanted
        for tile, pixels in _read(pool, slide, grid, _free(chosen, worth, slide, settings) if wanted else ()):
            chosen.index.append(tile)
            if tile.spread < settings.background:
                tile.state = BACKGROUND
                continue
            chosen.keep(tile, pixels)
            if len(chosen.kept) == enough:
                break
    _complete(chosen, worth)
    return chosen


def _read(
    pool: ThreadPoolExecutor, slide: Slide, grid: Grid, tiles: Iterable[Considered]
) -> Iterator[tuple[Considered, Pixels]]:
    """Read and measure tiles in order, a few ahead of the one that is asked for."""

    def read(tile: Considered) -> Pixels:
        pixels = slide.read(grid, tile.column, tile.row)
        tile.spread = spread(pixels)
        return pixels

    rest = iter(tiles)
    waiting = deque((tile, pool.submit(read, tile)) for tile in itertools.islice(rest, AHEAD))
    try:
        while waiting:
            tile, future = waiting.popleft()
            waiting.extend((tile, pool.submit(read, tile)) for tile in itertools.islice(rest, 1))
            yield tile, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def worth_reading(chosen: Chosen, settings: Tiling) -> Worth:
    """Which tiles (rows, columns) an overview does not show as plain glass.

    An overview smooths, so what it shows is compared with a part of the threshold; stain alone, without any texture, is
    well above it, since its channels differ.
    """
    grid, scale = chosen.grid, chosen.grid.downsample / chosen.overview_downsample
    worth = np.zeros((grid.rows, grid.columns), np.bool_)
    for row, column in np.ndindex(worth.shape):
        x, y = column * grid.stride * scale, row * grid.stride * scale
        right, bottom = x + grid.tile_size * scale, y + grid.tile_size * scale
        patch = chosen.overview[round(y) : round(bottom), round(x) : round(right)]
        worth[row, column] = patch.size > 0 and patch.std() >= GLASS * settings.background
    return worth


def _free(chosen: Chosen, worth: Worth, slide: Slide, settings: Tiling) -> Iterator[Considered]:
    """Tiles without a lesion that are worth reading, in random order that depends on seed and slide alone."""
    worth = worth.copy()
    for tile in chosen.index:
        worth[tile.row, tile.column] = False
    rows, columns = np.nonzero(worth)
    rng = np.random.default_rng([settings.seed, zlib.crc32(slide.path.stem.encode())])
    for number in rng.permutation(len(rows)):
        yield Considered(int(columns[number]), int(rows[number]), FREE)


def _complete(chosen: Chosen, worth: Worth) -> None:
    """Add the tiles that were not read to the index, and put it in the order of rows."""
    seen = {(tile.column, tile.row) for tile in chosen.index}
    for row, column in np.ndindex(worth.shape):
        if (column, row) not in seen:
            chosen.index.append(Considered(column, row, UNDRAWN if worth[row, column] else GLASSY))
    chosen.index.sort(key=lambda tile: (tile.row, tile.column))
