"""Arrays in .npy files, in a folder or inside a zip, read row by row: never unpacked, never whole in memory."""

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.base.errors import Problem, machine_problem

CURE = "get it again from the data set's own site"
KINDS = {"fiu": "real numbers", "US": "text"}  # by letters of numpy.dtype.kind
UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)  # RuntimeError: encrypted member


class Header(NamedTuple):
    """What an .npy file says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int  # bytes before the first value
    size: int  # bytes of the whole file


@dataclass(frozen=True)
class Npy:
    """An .npy file, in a folder or inside a zip, that is read one tile (row of its first axis) at a time."""

    path: Path
    member: str = ""  # of the zip at `path`

    def __str__(self) -> str:
        return f"{self.path}: {self.member}" if self.member else str(self.path)

    @contextmanager
    def _open(self) -> Iterator[tuple[IO[bytes], int]]:
        """The file's content and its size in bytes."""
        if self.member:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
                yield stream, archive.getinfo(self.member).file_size
        else:
            with self.path.open("rb") as stream:
                yield stream, self.path.stat().st_size

    @cached_property
    def header(self) -> Header:
        """Shape, dtype and place of the values; refuses a file that is no plain .npy."""
        try:
            with self._open() as (stream, size):
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, fortran, dtype = read(stream)
                offset = stream.tell()
        except (*UNREADABLE, ValueError) as error:
            raise (
                machine_problem(self, error) or Problem(f"{self} cannot be read as an .npy file ({error}); {CURE}.")
            ) from None
        if fortran:
            raise Problem(f"{self} is laid out in Fortran order, which cannot be read tile by tile; {CURE}.")
        return Header(shape, dtype, offset, size)

    def check(self, kinds: str, axes: str, *shape: int | None) -> None:
        """Refuse an array of another dtype or shape (None: any size), or a file that is too short or too long."""
        header = self.header
        if header.dtype.kind not in kinds or header.dtype.itemsize == 0:
            raise Problem(f"{self} holds values of type {header.dtype}, not {KINDS[kinds]}; {CURE}.")
        sizes_fit = all(want in (None, size) for want, size in zip(shape, header.shape, strict=False))
        if len(header.shape) != len(shape) or not sizes_fit or min(header.shape) < 1:
            raise Problem(f"{self} has the shape {header.shape}, not {axes}; {CURE}.")
        excess = header.size - header.offset - math.prod(header.shape) * header.dtype.itemsize
        if excess < 0:
            raise self._cut((header.size - header.offset) // self._row_bytes)
        if excess > 0:
            raise Problem(f"{self} is {excess:,} bytes longer than its header says; {CURE}.")

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.header.shape[1:]) * self.header.dtype.itemsize

    def _cut(self, tile: int) -> Problem:
        return Problem(f"{self} is cut short: it ends within tile {tile} of {self.header.shape[0]:,}; {CURE}.")

    def rows(self) -> Iterator[npt.NDArray[Any]]:
        """Every tile of the array in turn; call `check` first."""
        tile = 0
        try:
            with self._open() as (stream, _):
                stream.read(self.header.offset)
                for tile in range(self.header.shape[0]):
                    row = stream.read(self._row_bytes)
                    if len(row) < self._row_bytes:
                        raise self._cut(tile)
                    yield np.frombuffer(row, self.header.dtype).reshape(self.header.shape[1:])
        except UNREADABLE as error:
            raise (
                machine_problem(self, error)
                or Problem(f"{self} is damaged at or before tile {tile} ({error}); {CURE}.")
            ) from None
