"""Slides that are TIFF files (.svs, .tif): whether they are whole, and a faster way to read their full resolution."""

import logging
import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from pipeline.base.errors import Problem, machine_problem

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it finds wrong is told by OpenSlide, or not at all

Pixels = npt.NDArray[np.uint8]  # (H, W, 3), RGB

LARGEST_TILE = 2**26  # px
UNREADABLE = (tifffile.TiffFileError, ValueError, OSError, LookupError, AttributeError, TypeError, ArithmeticError)


def check_whole(path: Path, cure: str) -> None:
    """Refuse a TIFF whose tiles lie beyond the file's end, or cannot be; any slide that the machine cannot open.

    It may have fewer than its size needs, or such that OpenSlide ends the process since it has no memory for one.

    OpenSlide finds out only when it comes to such a tile, which may be after hours.
    """
    size = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as tiff:
            pages: list[Any] = list(tiff.pages)
            needed = [
                offset + count
                for page in pages
                for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
            ]
            tiled = [page for page in pages if page.is_tiled]
            missing = any(len(page.dataoffsets) < math.prod(page.chunked) for page in tiled)
            vast = any(page.tilewidth * page.tilelength > LARGEST_TILE for page in tiled)
    except UNREADABLE as error:
        if problem := machine_problem(path, error):
            raise problem from None  # OpenSlide would call it no slide
        return  # not a TIFF, or one that only OpenSlide understands or refuses
    if needed and max(needed) > size:
        raise Problem(f"{path} is cut off: it has {size:,} bytes of at least {max(needed):,}; {cure}.")
    if missing or vast:
        what = "its size needs more tiles than it has" if missing else "its tiles are larger than memory"
        raise Problem(f"{path} is damaged: {what}; {cure}.")


class TiffTiles:
    """The tiles of a TIFF's first page. OpenSlide decodes them alike, then blends every pixel: four times the work.

    Raises:
        ValueError, or another of UNREADABLE: the file is no TIFF, or its first page has no tiles of 8-bit RGB.
    """

    def __init__(self, path: Path) -> None:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.pages.first
            if not page.is_tiled or page.shape[2:] != (3,) or page.dtype != np.uint8:
                raise ValueError("no tiles of 8-bit RGB")
            self._offsets, self._counts = page.dataoffsets, page.databytecounts
            self._decode = partial(page.decode, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
            self.width, self.height = page.imagewidth, page.imagelength
            self._side = page.tilewidth, page.tilelength
        self._across, down = -(-self.width // self._side[0]), -(-self.height // self._side[1])
        if not len(self._offsets) == len(self._counts) == self._across * down:
            raise ValueError("another number of tiles than its size has")
        self._file = path.open("rb")

    def largest(self) -> tuple[int, int, int, int]:
        """Where the tile with the most bytes is, thus one with much to see: x, y, width and height."""
        row, column = divmod(int(np.argmax(self._counts)), self._across)
        x, y = column * self._side[0], row * self._side[1]
        return x, y, min(self._side[0], self.width - x), min(self._side[1], self.height - y)

    def read(self, x: int, y: int, width: int, height: int) -> Pixels | None:
        """A part of the page, (height, width, 3); nothing where a tile of it is missing, damaged or beyond the page."""
        if x < 0 or y < 0 or x + width > self.width or y + height > self.height:
            return None
        (across, down), part = self._side, np.empty((height, width, 3), np.uint8)
        for row in range(y // down, (y + height - 1) // down + 1):
            for column in range(x // across, (x + width - 1) // across + 1):
                tile, left, top = self._tile(row, column), column * across - x, row * down - y
                if tile is None:
                    return None
                place = part[max(0, top) : top + down, max(0, left) : left + across]
                place[:] = tile[max(0, -top) : height - top, max(0, -left) : width - left]
        return part

    def _tile(self, row: int, column: int) -> Pixels | None:
        index = row * self._across + column
        data = os.pread(self._file.fileno(), self._counts[index], self._offsets[index])
        try:
            tile: Pixels = self._decode(data, index)[0][0]
        except (RuntimeError, ValueError, TypeError):
            return None
        return tile

    def close(self) -> None:
        self._file.close()
