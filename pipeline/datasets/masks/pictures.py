"""Pictures of one's own as arrays: images of 8 or 16 bits, masks of numbers or colours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.base.errors import Problem
from pipeline.datasets.labels import Labels, read_labels
from pipeline.datasets.masks.arrays import read_array
from pipeline.datasets.members import CURE, OPAQUE, Member, read_rgb

MEND = "save it again, or move it away"
GREY = {"1", "L", "LA", "P"}
PLAUSIBLE = (0.05, 10.0)  # µm/px; what tags tell outside of it is a printer's resolution
UNREADABLE = (ValueError, OSError, IndexError, KeyError, AttributeError, TypeError)  # of tifffile, beside its own
PER_UNIT = {2: 25_400.0, 3: 10_000.0}  # µm in a unit of TIFF's ResolutionUnit


@contextmanager
def own_cure() -> Iterator[None]:
    """Problems of what lies within tell to mend one's own file, not to get it again."""
    try:
        yield
    except Problem as problem:
        raise Problem(str(problem).replace(CURE, MEND)) from None


def read_image(member: Member) -> npt.NDArray[np.uint8]:
    """An image as RGB, (H, W, 3). Of 16 bits the upper eight are kept; grey is the same in all channels.

    Raises:
        Problem: it is no picture, or one of another kind.
    """
    with own_cure():
        deep = _deep_tiff(member) if member.name.suffix.lower() in {".tif", ".tiff"} else None
        if deep is not None:
            return deep
        picture = member.picture()
        if picture.mode in GREY:
            return np.asarray(picture.convert("RGB"))
        if picture.mode.startswith("I"):
            grey = (np.asarray(picture).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        return read_rgb(member)


def _deep_tiff(member: Member) -> npt.NDArray[np.uint8] | None:
    """A TIFF of 16 bits a channel, which Pillow cannot read; None of any other."""
    import tifffile

    try:
        with tifffile.TiffFile(member.path) as tiff:
            page: Any = tiff.pages.first
            if page.dtype != np.uint16:
                return None
            values = np.asarray(page.asarray())
    except (tifffile.TiffFileError, *UNREADABLE):
        return None  # Pillow says what is wrong
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    if values.ndim != 3 or values.shape[2] not in (3, 4):
        raise Problem(f"{member} has the shape {values.shape}, which is neither grey nor RGB; {MEND}.")
    return np.ascontiguousarray(values[..., :3] >> 8).astype(np.uint8)


def microns_of(member: Member) -> float | None:
    """µm/px that a TIFF's tags tell, None where they tell none or what only a printer needs."""
    import tifffile

    try:
        with tifffile.TiffFile(member.path) as tiff:
            tags: Any = tiff.pages.first.tags
            (pixels, units), unit = tags["XResolution"].value, int(tags["ResolutionUnit"].value)
            found = PER_UNIT[unit] * units / pixels
    except (tifffile.TiffFileError, ZeroDivisionError, *UNREADABLE):
        return None
    return found if PLAUSIBLE[0] <= found <= PLAUSIBLE[1] else None


def size_of(member: Member) -> tuple[int, int]:
    """Height and width of an image, px, by its header alone."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(member.path) as picture:
            width, height = picture.size
            return height, width
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        height, width, _ = read_image(member).shape
        return height, width


def read_numbers(member: Member) -> Labels:
    """The numbers of a mask, (H, W).

    Raises:
        Problem: it is no picture of numbers, or no array of two dimensions.
    """
    if member.name.suffix.lower() == ".npy":
        return read_array(member)
    with own_cure():
        return read_labels(member)


def read_colours(member: Member) -> npt.NDArray[np.int32]:
    """The colours of a mask as numbers (H, W): red, green and blue, eight bits each.

    Raises:
        Problem: it is no picture of 8 bits, or not opaque.
    """
    with own_cure():
        picture = member.picture()
    if picture.mode not in {*GREY, "RGB", "RGBA"}:
        raise Problem(f"{member} holds no colours: its mode is {picture.mode}; give `--values codes` or `instances`.")
    rgba = np.asarray(picture.convert("RGBA"))
    if (rgba[..., 3] < OPAQUE).any():
        count = int((rgba[..., 3] < OPAQUE).sum())
        raise Problem(f"{member} has {count:,} transparent px, which have no colour of the legend; fill them.")
    numbers = rgba[..., 0].astype(np.int32)
    for channel in (1, 2):
        numbers <<= 8
        numbers |= rgba[..., channel]
    return numbers
