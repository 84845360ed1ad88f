"""The one way in which a stage tells a person that something is wrong with what it was given, or that it was ended."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import TracebackType

PARENT_ENDS = 1  # prctl's option that has Linux tell a process when the one that started it is gone


class Problem(Exception):
    """Bad input. The message is one sentence that names the file and the cure."""


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main`; a `Problem` becomes one line on stderr and exit code 1, without a traceback.

    Ctrl-C, SIGTERM and the death of the DVC that runs it end it with one line and exit code 130.
    """
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if sys.platform == "linux" and "DVC_STAGE" in os.environ:  # else it would work on beside the next `dvc repro`
            ctypes.CDLL(None).prctl(PARENT_ENDS, signal.SIGTERM)
        main()
    except Problem as problem:
        print(f"lobule: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as interruption:
        _say_interrupted(interruption)
        sys.exit(130)


def _say_interrupted(interruption: BaseException) -> None:
    kept = f" ({interruption})" if str(interruption) else ""
    print(f"lobule: interrupted{kept}; run the same command again to go on.", file=sys.stderr)


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        _say_interrupted(error)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _tell  # an interruption while modules are imported, which takes seconds, is no traceback, either
