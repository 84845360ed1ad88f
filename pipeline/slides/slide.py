"""Whole slides through OpenSlide: their size and resolution, a grid of tiles over them, and reading parts of them.

Positions on a slide are in px of its full resolution, x to the right and y down from the top left corner of what was
scanned, as QuPath counts them. OpenSlide counts from the corner of the glass, which is another one where the format
tells bounds (Leica's SCN, 3DHISTECH's MRXS); this module alone knows of it.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
from PIL import Image

from pipeline.base.errors import Problem
from pipeline.slides.flat import open_flat
from pipeline.slides.resolution import PARAMETER, find_resolution
from pipeline.slides.tiff import UNREADABLE, Pixels, TiffTiles, check_whole

CURE = "get it again from where it came from"
TILED = "write it as a tiled TIFF (`vips tiffsave --tile --pyramid`), or give it as an image with a mask"
SUFFIXES = {".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".svslide", ".bif", ".vms", ".vmu"}  # OpenSlide's
SAME = 0.05  # part by which a level's resolution may differ from the wanted one and is taken as it is
COARSER = 0.1  # part by which a slide may be coarser than wanted, since scanners of one magnification differ so much
BOUNDS = (  # left, top, width and height of what was scanned, px of the glass
    openslide.PROPERTY_NAME_BOUNDS_X,
    openslide.PROPERTY_NAME_BOUNDS_Y,
    openslide.PROPERTY_NAME_BOUNDS_WIDTH,
    openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
)
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

    Attributes:
        corner: of what was scanned, x and y in px of the glass; (0, 0) but for formats that tell bounds.
        width, height: of what was scanned, px.

    Args:
        microns_per_pixel: of the full resolution; goes before what the tags tell.
        parameter: what a person gives it by.
        flat: whether a picture without tiles, which is then held in memory, is taken, too.

    Raises:
        Problem: it cannot be opened, is cut off, or none is given and its tags do not tell a resolution that can be.
    """

    def __init__(
        self, path: Path, microns_per_pixel: float | None = None, parameter: str = PARAMETER, flat: bool = False
    ) -> None:
        self.path = path
        if not path.is_file():
            raise Problem(f"{path} is not there; give the folder in which the slides lie.")
        if not path.stat().st_size:
            raise Problem(f"{path} is empty; {CURE}.")
        check_whole(path, CURE)
        try:
            self._slide = openslide.OpenSlide(path)
        except (openslide.OpenSlideError, OSError) as error:
            picture = open_flat(path)
            if picture is None:
                raise Problem(f"{path} is no slide that OpenSlide can open ({error}); {CURE}.") from None
            if not flat:
                raise Problem(f"{path} is a picture without tiles, which is no slide; {TILED}.") from None
            self._slide = picture
        self.corner, (self.width, self.height) = self._scanned()
        resolution = find_resolution(path, self._slide.properties, microns_per_pixel, parameter)
        self.microns_per_pixel, self.magnification = resolution
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

    def _scanned(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Corner and size of what was scanned, clipped to the glass."""
        width, height = self._slide.dimensions
        if not all(name in self._slide.properties for name in BOUNDS):
            return (0, 0), (width, height)
        left, top, wide, high = (int(self._slide.properties[name]) for name in BOUNDS)
        corner = max(0, left), max(0, top)
        size = min(left + wide, width) - corner[0], min(top + high, height) - corner[1]
        if min(size) <= 0:
            raise Problem(
                f"{self.path} tells that {wide} x {high} px were scanned at x {left}, y {top} of {width} x {height};"
                f" {CURE}."
            )
        return corner, size

    def grid(self, tile_size: int, stride: int, microns_per_pixel: float | None = None) -> Grid:
        """Tiles at a resolution, read from the nearest finer level; at full resolution where none is given.

        A level within 5 % of the wanted resolution is taken as it is, since resampling would only blur it; so is a
        slide that is up to 10 % coarser, and that is printed.

        Raises:
            Problem: the slide is coarser still.
        """
        wanted = 1.0 if microns_per_pixel is None else microns_per_pixel / self.microns_per_pixel
        if 1 - COARSER <= wanted < 1 - SAME:
            told = f"{self.path} has {self.microns_per_pixel:.4g} µm/px where {microns_per_pixel:.4g} is wanted"
            print(f"{told}; it is taken as it is")
            wanted = 1.0
        if wanted < 1 - SAME:
            raise Problem(
                f"{self.path} has {self.microns_per_pixel:.4g} um/px, coarser than the wanted {microns_per_pixel:.4g};"
                " give a coarser tiling.microns_per_pixel, or full, or leave the slide out."
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
            part = self._slide.read_region((self.corner[0] + corner[0], self.corner[1] + corner[1]), level, size)
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
