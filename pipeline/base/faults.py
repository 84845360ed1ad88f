"""What a machine does to a stage, as one sentence: a full disk, a missing right, memory that ran out."""

import errno
import re
from collections.abc import Iterator

NO_RIGHT = "may not be opened: this user has no right to; change its permissions (`chmod`) or ask its owner"
NO_ROOM = "cannot be written: the disk is full; `lobule doctor` says how to make room, then run the same command again"
LOST = "cannot be read: its network drive was lost; connect it again and run again"
GPU = "needs more memory than the GPU has; lower predict.batch or tile_size in the study's params.yaml and run again"

MACHINE = {  # what is wrong with the machine and not with a file, and the cure
    errno.EACCES: NO_RIGHT,
    errno.EPERM: NO_RIGHT,
    errno.EMFILE: "cannot be opened: too many open files; raise the limit (`ulimit -n 4096`) and run again",
    errno.ENFILE: "cannot be opened: the machine has too many open files; end other programs and run again",
    errno.ENOSPC: NO_ROOM,
    errno.EDQUOT: "cannot be written: this user's part of the disk is full; make room and run again",
    errno.EFBIG: "may not become so large here; raise `ulimit -f` or take another file system, and run again",
    errno.EROFS: "cannot be written: its disk is read-only; choose a folder that can be written",
    errno.EIO: "cannot be read: its disk or network drive fails; check that and run again",
    errno.ESTALE: LOST,
    errno.ENOTCONN: LOST,
    errno.ETIMEDOUT: "cannot be read: its network drive does not answer; connect it again and run again",
    errno.ELOOP: "cannot be opened: it is a link that leads back to itself; mend the link",
    errno.ENAMETOOLONG: "cannot be opened: its name is too long; shorten it",
    errno.ENOMEM: "needs more memory than is free; end other programs and run again",
}


def fault(what: object, error: BaseException) -> str | None:
    """The machine's fault behind an error, or behind those that led to it, as a sentence; None where there is none.

    `what` is what a person knows the file by; None where the error names it. HDF5 and torch tell of the system's error
    in their text alone.
    """
    for each in _chain(error):
        if said := _said(each):
            return f"{what or _name(each)} {said}."
    return None


def _said(error: BaseException) -> str | None:
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported for it
        return GPU
    if isinstance(error, MemoryError):
        return MACHINE[errno.ENOMEM]
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := re.search(r"errno = (\d+)", str(error))):
        number = int(found[1])
    if number is None and "No space left on device" in str(error):
        number = errno.ENOSPC
    return MACHINE.get(number or 0)


def _name(error: BaseException) -> str:
    found = re.search(r"filename = '([^']+)'", str(error))
    return str(getattr(error, "filename", None) or (found and found[1]) or "this stage")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what led to it, the nearest first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
