"""Files of a data set of many small files: in a folder or inside zips, listed alike and read whole."""

import io
import lzma
import struct
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.base.archives import CURE as ARCHIVE_CURE
from pipeline.base.errors import Problem, machine_problem
from pipeline.datasets.discovery import File, Survey

CURE = "get it again from the data set's own site"
FORMATS = ("PNG", "TIFF", "JPEG", "BMP", "GIF")
MOST_PIXELS = 1 << 28  # 16,384 x 16,384; regions of 182 million are known
MOST_BYTES = 1 << 30  # of a file
BYTES_PER_PIXEL = 7  # Pillow keeps four, the array three
OPAQUE = 255
UNDECODABLE = (  # what Pillow raises for damaged files
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    MemoryError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)


class Member(File):
    """A file that is read whole."""

    def read(self) -> bytes:
        """The whole content; a Problem where it cannot be had."""
        try:
            if self.zipped:
                with zipfile.ZipFile(self.path) as archive:
                    self._check_size(archive.getinfo(self.inside).file_size)
                    return archive.read(self.inside)
            self._check_size(self.path.stat().st_size)
            return self.path.read_bytes()
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError, MemoryError) as error:
            cure = ARCHIVE_CURE if self.zipped else CURE
            raise (machine_problem(self, error) or Problem(f"{self} cannot be read ({error}); {cure}.")) from None

    def _check_size(self, size: int) -> None:
        """Refuse a file of so many bytes, since it is read whole."""
        if size > MOST_BYTES:
            raise Problem(f"{self} has {size:,} bytes, where no file of the data set has {MOST_BYTES:,}; {CURE}.")

    def picture(self) -> Any:
        """The content as a decoded PIL image; a Problem where it is none or damaged, or larger than memory holds."""
        from PIL import Image  # not on top: check and download read this module's users, and need no pictures

        content = self.read()
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # it warns from here on and refuses twice as many
        try:
            with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
                # The checksums of a PNG, which reading it ignores. The formats: others may start programs.
                Image.open(io.BytesIO(content), formats=FORMATS).verify()
                picture = Image.open(io.BytesIO(content), formats=FORMATS)
            self._check_room(*picture.size)
            picture.load()
        except Image.DecompressionBombError:
            raise Problem(
                f"{self} has more than {MOST_PIXELS:,} px, the most that is read as one picture; cut it into regions."
            ) from None
        except UNDECODABLE as error:
            said = str(error).split(" <")[0]  # PIL names the object in memory that it could not identify
            raise (machine_problem(self, error) or Problem(f"{self} is no whole picture ({said}); {CURE}.")) from None
        return picture

    def _check_room(self, width: int, height: int) -> None:
        """Refuse a picture that memory does not hold, by what its header says."""
        from psutil import virtual_memory

        needed, free = width * height * BYTES_PER_PIXEL, virtual_memory().available
        if needed > free:
            raise Problem(
                f"{self} has {width:,} x {height:,} px, which take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB of"
                " memory are free; end other programs, or read it on a larger machine."
            )


def list_members(found: Survey, suffixes: set[str]) -> list[Member]:
    """Files of a folder whose lower-case suffix is one of these, and then those in its zips, which are entered.

    Where zips lie beside the unpacked files, both are listed.

    Raises:
        Problem: a zip is damaged or unsafe.
    """
    for archive in found.zips():
        found.enter(archive)
    wanted = [file for file in found.files if file.name.suffix.lower() in suffixes]
    return [Member(file.path, file.name, file.inside) for file in wanted]


def read_rgb(member: Member) -> npt.NDArray[np.uint8]:
    """An RGB image, (H, W, 3). Transparent pixels are put on white, and that is printed; an opaque alpha is dropped.

    Raises:
        Problem: it is no picture, or neither RGB nor RGBA with 8 bits.
    """
    picture = member.picture()
    if picture.mode not in {"RGB", "RGBA"}:
        raise Problem(f"{member} is no RGB image: its mode is {picture.mode}; {CURE}.")
    pixels = np.asarray(picture)
    if picture.mode == "RGBA" and (pixels[..., 3] < OPAQUE).any():
        print(f"{member} has {(pixels[..., 3] < OPAQUE).sum():,} transparent px, which are put on white")
        alpha = pixels[..., 3:].astype(np.uint32)
        pixels = ((pixels * alpha + OPAQUE * (OPAQUE - alpha) + OPAQUE // 2) // OPAQUE).astype(np.uint8)
    return np.ascontiguousarray(pixels[..., :3])
