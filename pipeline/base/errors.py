"""The one way in which a stage tells a person that something is wrong with what it was given."""

import errno
import sys
from collections.abc import Callable

MACHINE = {  # what is wrong with the machine and not with a file, and the cure
    errno.EACCES: "may not be opened: this user has no right to; change its permissions (`chmod`) or ask its owner",
    errno.EPERM: "may not be opened: this user has no right to; change its permissions (`chmod`) or ask its owner",
    errno.EMFILE: "cannot be opened: too many open files; raise the limit (`ulimit -n 4096`) and run again",
    errno.ENFILE: "cannot be opened: the machine has too many open files; end other programs and run again",
    errno.ENOSPC: "cannot be written: the disk is full; make room and run again",
    errno.EDQUOT: "cannot be written: this user's part of the disk is full; make room and run again",
    errno.EROFS: "cannot be written: its disk is read-only; choose a folder that can be written",
    errno.EIO: "cannot be read: its disk or network drive fails; check that and run again",
    errno.ESTALE: "cannot be read: its network drive was lost; connect it again and run again",
    errno.ENOTCONN: "cannot be read: its network drive was lost; connect it again and run again",
    errno.ETIMEDOUT: "cannot be read: its network drive does not answer; connect it again and run again",
    errno.ELOOP: "cannot be opened: it is a link that leads back to itself; mend the link",
    errno.ENAMETOOLONG: "cannot be opened: its name is too long; shorten it",
    errno.ENOMEM: "needs more memory than is free; end other programs and run again",
}


class Problem(Exception):
    """Bad input. The message is one sentence that names the file and the cure."""


def machine_problem(what: object, error: BaseException) -> Problem | None:
    """The Problem that an error is where the machine is at fault (rights, limits, disks, memory), and not a file.

    Whoever catches an OSError asks this first, so that a full disk is not called a damaged file. None for all else.
    """
    if isinstance(error, MemoryError):
        return Problem(f"{what} {MACHINE[errno.ENOMEM]}.")
    said = MACHINE.get(error.errno or 0) if isinstance(error, OSError) else None
    return Problem(f"{what} {said}.") if said else None


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main`; a `Problem` becomes one line on stderr and exit code 1, without a traceback.

    So does an OSError where the machine is at fault and nobody below has said so.
    """
    try:
        main()
    except Problem as problem:
        print(f"lobule: {problem}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        problem_of = machine_problem(error.filename or "a file", error)
        if problem_of is None:
            raise
        print(f"lobule: {problem_of}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("lobule: interrupted; run the same command again to go on.", file=sys.stderr)
        sys.exit(130)
