"""Files of a data set of many small files: in a folder or inside zips, listed alike and read whole."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.base.archives import CURE as ARCHIVE_CURE
from pipeline.base.archives import check_members
from pipeline.base.errors import Problem

CURE = "get it again from the data set's own site"
OPAQUE = 255
LARGEST = 1 << 30  # bytes of a file that is read whole; a zip can say so of a few kilobytes


@dataclass(frozen=True, order=True)
class Member:
    """A file, in a folder or inside the zip at `path`."""

    path: Path
    name: PurePosixPath  # relative to the folder that was searched, or in the zip
    zipped: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.name}" if self.zipped else str(self.path)

    def read(self) -> bytes:
        """The whole content; a Problem where it cannot be had, or is larger than any picture or table."""
        try:
            if not self.zipped:
                self._check_size(self.path.stat().st_size)
                return self.path.read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                self._check_size(archive.getinfo(self.name.as_posix()).file_size)
                return archive.read(self.name.as_posix())
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
            raise Problem(f"{self} cannot be read ({error}); {ARCHIVE_CURE if self.zipped else CURE}.") from None

    def _check_size(self, size: int) -> None:
        if size > LARGEST:
            raise Problem(f"{self} has {size:,} bytes, more than any picture or table of a data set; {CURE}.")

    def picture(self) -> Any:
        """The content as a decoded PIL image; a Problem where it is none or damaged."""
        from PIL import Image  # not on top: check and download read this module's users, and need no pictures

        content = self.read()
        try:
            Image.open(io.BytesIO(content)).verify()  # a PNG against its checksums, which reading it ignores
            picture = Image.open(io.BytesIO(content))
            picture.load()
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            said = str(error).split(" <")[0]  # PIL names the object in memory that it could not identify
            raise Problem(f"{self} is no whole picture ({said}); {CURE}.") from None
        return picture


def list_members(folder: Path, suffixes: set[str]) -> list[Member]:
    """Files in and under `folder` whose lower-case suffix is one of these, and then those in its zips.

    Hidden files and what a Mac adds to zips are left out. Where zips lie beside the unpacked files, both are listed.

    Raises:
        Problem: a zip is damaged or unsafe.
    """
    found = [Member(path, PurePosixPath(path.relative_to(folder))) for path in sorted(folder.rglob("*"))]
    members = [member for member in found if member.name.suffix.lower() in suffixes and member.path.is_file()]
    for archive_path in (member.path for member in found if member.name.suffix.lower() == ".zip"):
        check_members(archive_path)
        with zipfile.ZipFile(archive_path) as archive:
            names = sorted(PurePosixPath(info.filename) for info in archive.infolist() if not info.is_dir())
        members += [Member(archive_path, name, True) for name in names if name.suffix.lower() in suffixes]
    return [m for m in members if "__MACOSX" not in m.name.parts and not any(p.startswith(".") for p in m.name.parts)]


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
