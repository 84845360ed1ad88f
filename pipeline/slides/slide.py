"""Whole slides through OpenSlide: their size and resolution, a grid of tiles over them, and reading parts of them.

Positions on a slide are in px of its full resolution, x to the right and y down from its top left corner.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
from PIL import Image

from pipeline.base.errors import Problem
from pipeline.slides.flat import open_flat
from pipeline.slides.tiff import UNREADABLE, Pixels, TiffTiles, check_whole

CURE = "get it again from where it came from"
SUFFIXES = {".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".svslide", ".bif", ".vms", ".vmu"}  # OpenSlide's
WIDEST = 10.0  # µm/px; what tags tell beyond it is a printer's resolution (72 dpi is 353 µm/px)
SAME = 0.05  # part by which a level's resolution may differ from the wanted one and is taken as it is
BLOCK = 2048  # px a side, of the parts in which a level is read for an overview
WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Grid:
    """A grid of square tiles that covers a slide; those at its right and bottom border may reach beyond it."""

    tile_size: int  # px
    stride: int  # px of a tile, from one tile to the next
    level: int  # of the slide, that tiles are read from
    level_downsample: float  # px of full resolution on one px of that level
    downsample: float  # px of full resolution on one px of a tile
    microns_per_pixel: float  # of a tile
    width: int  # of the slide, px of a tile
    height: int

    @property
    def columns(self) -> int:
        return 1 + max(0, math.ceil((self.width - self.tile_size) / self.stride))

    @property
    def rows(self) -> int:
        return 1 + max(0, math.ceil((self.height - self.tile_size) / self.stride))

    def corner(self, column: int, row: int) -> tuple[int, int]:
        """Top left corner of a tile, x and y in px of full resolution."""
        return round(column * self.stride * self.downsample), round(row * self.stride * self.downsample)

    def inside(self, column: int, row: int) -> tuple[int, int]:
        """Width and height of what a tile has of the slide, px of a tile."""
        return (
            min(self.tile_size, self.width - column * self.stride),
            min(self.tile_size, self.height - row * self.stride),
        )


class Slide:
    """An open slide. It may be read by several threads at once.

    Args:
        microns_per_pixel: of the full resolution, for slides whose tags do not tell.
        parameter: what a person gives it by.
        flat: whether a picture without tiles, which is then held in memory, is taken, too.

    Raises:
        Problem: it cannot be opened, is cut off, or does not tell its resolution and none is given.
    """

    def __init__(
        self,
        path: Path,
        microns_per_pixel: float | None = None,
        parameter: str = "tiling.slide_microns_per_pixel",
        flat: bool = False,
    ) -> None:
        self.path = path
        self._parameter = parameter
        if not path.is_file():
            raise Problem(f"{path} is not there; give the folder in which the slides lie.")
        check_whole(path, CURE)
        try:
            self._slide = openslide.OpenSlide(path)
        except (openslide.OpenSlideError, OSError) as error:
            picture = open_flat(path) if flat else None
            if picture is None:
                raise Problem(f"{path} is no slide that OpenSlide can open ({error}); {CURE}.") from None
            self._slide = picture
        self.width, self.height = self._slide.dimensions
        self.microns_per_pixel = self._resolution(microns_per_pixel)
        power = self._number(openslide.PROPERTY_NAME_OBJECTIVE_POWER)
        self.magnification = power or 10 / self.microns_per_pixel  # 40x has 0.25 µm/px on the common scanners
        self._tiles = self._fast_tiles()

    def _fast_tiles(self) -> TiffTiles | None:
        """A faster way to the full resolution, if the slide is such a TIFF and a tile is what OpenSlide makes of it."""
        try:
            tiles = TiffTiles(self.path)
        except UNREADABLE:
            return None
        x, y, width, height = tiles.largest()
        found, wanted = tiles.read(x, y, width, height), self._blended((x, y), 0, (width, height))
        if (tiles.width, tiles.height) == (self.width, self.height) and found is not None and (found == wanted).all():
            return tiles
        tiles.close()
        return None

    def _number(self, tag: str) -> float | None:
        try:
            value = float(self._slide.properties[tag])
        except (KeyError, ValueError):
            return None
        return value if math.isfinite(value) and value > 0 else None

    def _resolution(self, given: float | None) -> float:
        x, y = self._number(openslide.PROPERTY_NAME_MPP_X), self._number(openslide.PROPERTY_NAME_MPP_Y)
        if x and y and max(x, y) < WIDEST:
            return (x + y) / 2
        power = self._number(openslide.PROPERTY_NAME_OBJECTIVE_POWER)
        if given is not None or power:
            return given if given is not None else 10 / power  # type: ignore[operator]
        raise Problem(f"{self.path} does not tell its resolution; give it in {self._parameter} if they share it.")

    def grid(self, tile_size: int, stride: int, microns_per_pixel: float | None = None) -> Grid:
        """Tiles at a resolution, read from the nearest finer level; at full resolution where none is given.

        A level within 5 % of the wanted resolution is taken as it is, since resampling would only blur it.
        """
        wanted = 1.0 if microns_per_pixel is None else microns_per_pixel / self.microns_per_pixel
        if wanted < 1 - SAME:
            raise Problem(
                f"{self.path} has {self.microns_per_pixel:.4g} um/px, coarser than the wanted {microns_per_pixel:.4g};"
                " ask for a coarser resolution or leave the slide out."
            )
        level = self._slide.get_best_level_for_downsample(wanted * (1 + SAME))
        level_downsample = float(self._slide.level_downsamples[level])
        if abs(wanted / level_downsample - 1) <= SAME:
            wanted = level_downsample
        size = int(self.width / wanted), int(self.height / wanted)
        return Grid(
            tile_size,
            stride,
            level,
            level_downsample,
            wanted,
            self.microns_per_pixel * wanted,
            *(max(1, s) for s in size),
        )

    def read(self, grid: Grid, column: int, row: int) -> Pixels:
        """What a tile has of the slide, (h, w, 3); smaller than a tile at the right and bottom border."""
        width, height = grid.inside(column, row)
        ratio = grid.downsample / grid.level_downsample
        return self._region(grid.corner(column, row), grid.level, ratio, width, height)

    def overview(self, downsample: int) -> Pixels:
        """The whole slide with so many px of full resolution on one px, read block by block from the nearest level."""
        level = self._slide.get_best_level_for_downsample(downsample)
        ratio = downsample / self._slide.level_downsamples[level]
        width, height = math.ceil(self.width / downsample), math.ceil(self.height / downsample)
        side = max(1, int(BLOCK / ratio))
        picture = np.empty((height, width, 3), np.uint8)
        for y in range(0, height, side):
            for x in range(0, width, side):
                size = min(side, width - x), min(side, height - y)
                part = self._region((x * downsample, y * downsample), level, ratio, *size)
                picture[y : y + side, x : x + side] = part
        return picture

    def _region(self, corner: tuple[int, int], level: int, ratio: float, width: int, height: int) -> Pixels:
        """A part, (height, width, 3), reduced by `ratio` from a level; what the scanner left out is white."""
        size = max(1, round(width * ratio)), max(1, round(height * ratio))
        pixels = self._tiles.read(*corner, *size) if self._tiles and level == 0 else None
        if pixels is None:
            pixels = self._blended(corner, level, size)
        if size == (width, height):
            return pixels
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))

    def _blended(self, corner: tuple[int, int], level: int, size: tuple[int, int]) -> Pixels:
        """A part as OpenSlide reads it, on white."""
        try:
            part = self._slide.read_region(corner, level, size)
        except (openslide.OpenSlideError, OSError) as error:
            raise Problem(f"{self.path} cannot be read at x {corner[0]}, y {corner[1]} ({error}); {CURE}.") from None
        if part.getchannel("A").getextrema()[0] < 255:
            part, scanned = Image.new("RGB", size, WHITE), part
            part.paste(scanned, mask=scanned)
        return np.asarray(part.convert("RGB"))

    def close(self) -> None:
        self._slide.close()
        if self._tiles:
            self._tiles.close()

    def __enter__(self) -> "Slide":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def spread(pixels: Pixels) -> float:
    """Standard deviation over all values of all three channels, from whole-number sums: the same on every machine."""
    height, width, channels = pixels.shape
    grey = Image.frombuffer("L", (width * channels, height), np.ascontiguousarray(pixels), "raw", "L", 0, 1)
    counts, values = np.array(grey.histogram(), np.int64), np.arange(256, dtype=np.int64)
    count, total, squares = (int((counts * weight).sum()) for weight in (values**0, values, values**2))
    return math.sqrt(max(0, count * squares - total * total)) / count
