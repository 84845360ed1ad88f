"""The class map and the probabilities of a slide as a pyramid, for QuPath, napari or numpy: an OME-TIFF.

The first channel has the codes of the classes, IGNORE where nothing was looked at. Then follows one a class, in its
colour: how probable it is (0 to 255) where it is the most probable one, 0 elsewhere. Coarser levels have every second,
fourth, ... pixel of both, since there is no mean of codes.
"""

import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt
import tifffile

from pipeline.applying.maps import Look, Map
from pipeline.applying.windows import Window, squares
from pipeline.base.files import replacing
from pipeline.reporting.pictures import Colour
from pipeline.slides.slide import Grid

TILE = 512  # px of a level
SIDE = 2048  # px of full size on a side of what is read at once; the coarsest level's pixel has no more
LEVEL = 6  # of zlib's compression
CODES: Colour = (0, 0, 0)  # of the first channel: codes are no light, and would lie over the classes
SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def write_ome_tiff(path: Path, name: str, look: Look, grid: Grid, colours: dict[str, Colour]) -> None:
    """Write the maps of a slide at the model's resolution, a tile at a time, whole or not at all.

    The same maps give the same bytes. What is compressed waits in a file without a name beside `path`, since a TIFF
    has all tiles of one channel before those of the next.

    Args:
        look: gives the maps of a window; it is asked for every window once a level.
        colours: of each class, in the order of their codes.
    """
    steps = steps_of(grid.height, grid.width)
    with replacing(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=True, byteorder="<", ome=False) as tiff:
        for step in steps:
            size = len(colours) + 1, -(-grid.height // step), -(-grid.width // step)
            with tempfile.TemporaryFile(dir=path.parent) as store:
                tiff.write(
                    _tiles(look, grid, step, size, store),
                    shape=size,
                    dtype=np.uint8,
                    tile=(TILE, TILE),
                    photometric="minisblack",
                    compression="adobe_deflate",
                    description=_described(name, grid, colours) if step == 1 else None,
                    resolution=(1e4 / (grid.microns_per_pixel * step),) * 2,
                    resolutionunit="CENTIMETER",
                    subifds=len(steps) - 1 if step == 1 else None,
                    subfiletype=int(step > 1),
                    software=False,
                    metadata=None,
                )


def steps_of(height: int, width: int) -> list[int]:
    """px of full size on one of each level, down to the level that is one tile."""
    steps = [1]
    while max(height, width) > TILE * steps[-1] and steps[-1] < SIDE:
        steps.append(2 * steps[-1])
    return steps


def _tiles(look: Look, grid: Grid, step: int, size: tuple[int, int, int], store: IO[bytes]) -> Iterator[bytes]:
    """The compressed tiles of a level, channel after channel and row after row."""
    channels, height, width = size
    places = np.zeros((channels, -(-height // TILE), -(-width // TILE), 2), np.int64)  # in the store: start, length
    for _, window in squares(grid.height, grid.width, max(SIDE, TILE * step)):
        codes, probability = _reduced(look, window, step)
        for _, part in squares(codes.shape[0], codes.shape[1], TILE):
            here = part.rows_from(0), part.columns_from(0)
            row, column = (window.top // step + part.top) // TILE, (window.left // step + part.left) // TILE
            for channel in range(channels):
                tile = np.zeros((TILE, TILE), np.uint8)
                mine = codes[here] if channel == 0 else np.where(codes[here] == channel - 1, probability[here], 0)
                tile[: part.height, : part.width] = mine
                places[channel, row, column] = store.tell(), store.write(zlib.compress(tile.tobytes(), LEVEL))
    for start, length in places.reshape(-1, 2).tolist():
        store.seek(start)
        yield store.read(length)


def _reduced(look: Look, window: Window, step: int) -> tuple[Map, Map]:
    """Every so many pixels of the maps of a window, read in parts."""
    found = [np.zeros((-(-window.height // step), -(-window.width // step)), np.uint8) for _ in range(2)]
    for _, part in squares(window.height, window.width, SIDE):
        maps = look(Window(window.top + part.top, window.left + part.left, part.height, part.width))
        for reduced, whole in zip(found, maps, strict=True):
            small: npt.NDArray[np.uint8] = whole[::step, ::step]
            top, left = part.top // step, part.left // step
            reduced[top : top + small.shape[0], left : left + small.shape[1]] = small
    return found[0], found[1]


def _described(name: str, grid: Grid, colours: dict[str, Colour]) -> bytes:
    """OME-XML of the pyramid, in UTF-8 as other writers have it."""
    channels = [("class map", CODES), *colours.items()]
    told = "".join(
        f'<Channel ID="Channel:0:{number}" Name={quoteattr(each)} SamplesPerPixel="1" Color="{_signed(colour)}"/>'
        for number, (each, colour) in enumerate(channels)
    )
    size = f'SizeX="{grid.width}" SizeY="{grid.height}" SizeC="{len(channels)}" SizeZ="1" SizeT="1"'
    microns = " ".join(
        f'PhysicalSize{axis}="{grid.microns_per_pixel:.9g}" PhysicalSize{axis}Unit="µm"' for axis in "XY"
    )
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{SCHEMA}"'
        f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="{SCHEMA} {SCHEMA}/ome.xsd">'
        f'<Image ID="Image:0" Name={quoteattr(name)}><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" {size}'
        f' {microns} BigEndian="false" Interleaved="false">{told}'
        f'<TiffData IFD="0" PlaneCount="{len(channels)}"/></Pixels></Image></OME>'
    )
    return text.encode()


def _signed(colour: Colour) -> int:
    """Red, green, blue and full opacity as the signed 32 bits that OME has."""
    return int.from_bytes(bytes([*colour, 255]), "big", signed=True)
