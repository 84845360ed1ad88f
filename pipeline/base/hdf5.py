"""HDF5 files in which a flipped bit is noticed.

HDF5's format of 1.10 sums what describes the arrays: names, shapes, attributes. What is in them is summed here: the
CRC-32 of each row of `<array>` stands in `crc32/<array>`, (N,) uint32, and is compared when the row is read. A file
without that array is read as it is. Texts have a fixed length: those of any length lie in a heap without a sum, where a
flipped bit can make HDF5 search for ever.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from pipeline.base.errors import Problem, machine_problem

BROKEN = (OSError, KeyError, RuntimeError)  # what h5py raises where a file is damaged
CURE = "`lobule doctor` says what to remove, then `dvc repro` makes it again"
SUMS = "crc32"


class Writable:
    """A file as HDF5 writes to it, which crashes where that fails: the first failure is kept for `check`.

    Nothing is buffered here, since what is left in a buffer would be written, and fail, when HDF5 seeks or reads.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._failure: OSError | None = None
        self.read, self.readinto = self._file.read, self._file.readinto
        self.seek, self.tell = self._file.seek, self._file.tell

    def write(self, content: Any) -> int:
        self._try(lambda: self._write(memoryview(content)))
        return len(content)

    def flush(self) -> None:
        """Nothing is left to be written."""

    def truncate(self, size: int) -> int:
        self._try(lambda: self._file.truncate(size))
        return size

    def close(self) -> None:
        self._try(self._file.close)
        self.check()

    def check(self) -> None:
        """Raise what a write failed with, if one did."""
        if self._failure is not None:
            raise self._failure

    def _write(self, content: memoryview) -> None:
        while content:
            content = content[self._file.write(content) or 0 :]

    def _try(self, action: Callable[[], object]) -> None:
        try:
            if self._failure is None:
                action()
        except OSError as error:
            self._failure = OSError(error.errno, error.strerror, self._file.name)


class NewFile(h5py.File):
    """A file that is written. A full disk is an OSError when it is closed, or at `check`."""

    def __init__(self, path: Path) -> None:
        self._written = Writable(path)
        super().__init__(self._written, "w", libver=("v110", "v110"), track_order=False)

    def check(self) -> None:
        """Raise what a write failed with, if one did."""
        self._written.check()

    def close(self) -> None:
        """Write what is left, and raise what a write failed with."""
        if self:
            super().close()
            self._written.close()


def create(path: Path) -> NewFile:
    """A new file, open for writing."""
    return NewFile(path)


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """A file, open for reading.

    Raises:
        Problem: it is missing or damaged.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise Problem(f"{path} is missing; run `dvc repro` so that it is written.") from None
    except BROKEN as error:
        raise unreadable(path, error) from None
    with file:
        yield file


def crc(row: npt.NDArray[Any]) -> int:
    """CRC-32 of an array's bytes, in C order; of texts that of their UTF-8, a zero between them."""
    if row.dtype == object:
        return zlib.crc32(b"\0".join(value.encode() if isinstance(value, str) else value for value in row))
    return zlib.crc32(np.ascontiguousarray(row).data)


def as_texts(texts: Sequence[str]) -> npt.NDArray[np.bytes_]:
    """Texts as an array of UTF-8, of the length of the longest one, marked as such for h5py."""
    encoded = [text.encode() for text in texts]
    return np.array(encoded, h5py.string_dtype("utf-8", max([1, *map(len, encoded)])))


def write_attribute(file: Any, name: str, value: Any) -> None:
    """Set an attribute; a text by its own length."""
    file.attrs[name] = as_texts([value])[0] if isinstance(value, str) else value


def read_attribute(file: Any, name: str) -> Any:
    """What `write_attribute` wrote.

    Raises:
        Problem: the file is damaged.
    """
    try:
        value = file.attrs[name]
    except BROKEN as error:
        raise unreadable(file.file.filename, error) from None
    return value.decode() if isinstance(value, bytes) else value


def write_sums(file: Any, name: str, sums: Iterable[int]) -> None:
    """Keep the CRC-32 of each row of an array in its file."""
    file.create_dataset(f"{SUMS}/{name}", data=np.fromiter(sums, np.uint32))


def read_sums(file: Any, name: str) -> list[int]:
    """The CRC-32 of each row of an array; empty where its file has none."""
    return file[f"{SUMS}/{name}"][:].tolist() if f"{SUMS}/{name}" in file else []


def read_row(file: Any, name: str, index: int) -> Any:
    """A row of an array in an open file.

    Raises:
        Problem: it is damaged.
    """
    try:
        values = file[name][index]
        good = f"{SUMS}/{name}" not in file or crc(values) == file[f"{SUMS}/{name}"][index]
    except BROKEN as error:
        raise unreadable(file.file.filename, error) from None
    if not good:
        raise damaged(file.file.filename, name, index)
    return values


def read_array(file: Any, name: str, rows: slice = slice(None)) -> Any:
    """An array in an open file, whole or some rows of it, `rows` without a step.

    Raises:
        Problem: it is damaged, or not there.
    """
    try:
        values = file[name][rows]
        sums = file[f"{SUMS}/{name}"][rows].tolist() if f"{SUMS}/{name}" in file else []
    except BROKEN as error:
        raise unreadable(file.file.filename, error) from None
    for index, wanted in enumerate(sums):
        if crc(values[index]) != wanted:
            raise damaged(file.file.filename, name, (rows.start or 0) + index)
    return values


def shape_of(file: Any, name: str) -> tuple[int, ...]:
    """The shape of an array in an open file.

    Raises:
        Problem: it is not there.
    """
    try:
        return tuple(file[name].shape)
    except BROKEN as error:
        raise unreadable(file.file.filename, error) from None


def damaged(path: str | Path, name: str, index: int) -> Problem:
    """What is said of a row that is not what was written."""
    return Problem(f"{path} is damaged: row {index} of {name} is not what was written; {CURE}.")


def unreadable(path: str | Path, error: BaseException) -> Problem:
    """What is said of a file that h5py cannot make out, or not open."""
    return machine_problem(path, error) or Problem(f"{path} is damaged ({str(error).splitlines()[0]}); {CURE}.")
