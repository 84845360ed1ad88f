"""What a machine does to a stage, as one sentence: a full disk, a folder that is closed, memory that ran out."""

import errno
import re
from collections.abc import Iterator

AGAIN = "then run the same command again; nothing half-written was left"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def sentence(error: BaseException) -> str | None:
    """The fault behind an error, or behind those that led to it; None where it is none of these.

    HDF5 and torch tell of the system's error in their text alone.
    """
    return next((said for each in _chain(error) if (said := _fault(each))), None)


def _fault(error: BaseException) -> str | None:
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := re.search(r"errno = (\d+)", text)):
        number = int(found[1])
    where = _name(error)
    if number in NO_ROOM or "No space left on device" in text:
        return f"the disk is full{where}; `lobule doctor` says how to make room, {AGAIN}."
    if number == errno.EFBIG:
        return f"a file may not become so large here{where}; raise `ulimit -f` or take another file system, {AGAIN}."
    if number in CLOSED:
        return (
            f"a file or folder is closed to you{where} ({_strerror(error)}); give yourself the right to write, {AGAIN}."
        )
    if number == errno.EIO:
        return f"the disk failed to read or write{where}; look at its health, {AGAIN}."
    if type(error).__name__ == "OutOfMemoryError":
        return f"the GPU's memory ran out; lower predict.batch or tile_size in the study's params.yaml, {AGAIN}."
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return f"main memory ran out; close other programs, or lower train.workers and train.batch, {AGAIN}."
    return None


def _name(error: BaseException) -> str:
    """` at PATH`, where an error names a file."""
    found = re.search(r"filename = '([^']+)'", str(error))
    name = getattr(error, "filename", None) or (found and found[1])
    return f" at {name}" if name else ""


def _strerror(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what led to it, the nearest first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
