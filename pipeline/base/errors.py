"""The one way in which a stage tells a person that something is wrong with what it was given, or that it was ended."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from pipeline.base.faults import fault

AGAIN = 0.05  # seconds until a lost interruption comes again: out of where it was lost
PARENT_ENDS = 1  # prctl's option that has Linux tell a process when the one that started it is gone


LONGEST = 8000  # characters of a message: a damaged zip can name a file of 64 KB


class Problem(Exception):
    """Bad input. The message is one sentence that names the file and the cure.

    Of a longer one than anybody reads the middle is left out, since the file comes first and the cure last.
    """

    def __init__(self, said: str) -> None:
        left_out = len(said) - LONGEST
        half = LONGEST // 2
        super().__init__(f"{said[:half]} [... {left_out:,} characters ...] {said[-half:]}" if left_out > 0 else said)


def machine_problem(what: object, error: BaseException) -> Problem | None:
    """The Problem that an error is where the machine is at fault (rights, limits, disks, memory), and not a file.

    Whoever catches an OSError asks this first, so that a full disk is not called a damaged file. None for all else.
    """
    said = fault(what, error)
    return Problem(said) if said else None


def hear_interruptions() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end a command that starts others; for main threads.

    A shell's & has it ignore Ctrl-C, and all that it starts would do so, too. Under nohup the others stay ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main`; a `Problem` becomes one line on stderr and exit code 1, without a traceback.

    So does what is the machine's fault and nobody below has told. Ctrl-C, SIGTERM and the death of the DVC that runs it
    end it with one line and exit code 130.
    """
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if sys.platform == "linux" and "DVC_STAGE" in os.environ:  # else it would work on beside the next `dvc repro`
            ctypes.CDLL(None).prctl(PARENT_ENDS, signal.SIGTERM)
        main()
        sys.stdout.flush()  # so that a reader who has gone is met here
    except Problem as problem:
        print(f"lobule: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as interruption:
        _say_interrupted(interruption)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python tries again at its end, and tells so
        print("lobule: whoever read what is printed here, or was written to, has gone.", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        problem_of = machine_problem(None, error)
        if problem_of is None:
            raise
        print(f"lobule: {problem_of}", file=sys.stderr)
        sys.exit(1)


def _say_interrupted(interruption: BaseException) -> None:
    kept = f" ({interruption})" if str(interruption) else ""
    print(f"lobule: interrupted{kept}; run the same command again to go on.", file=sys.stderr)


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        _say_interrupted(error)
    else:
        sys.__excepthook__(kind, error, trace)


def _interrupt_again(lost: "sys.UnraisableHookArgs") -> None:
    """Let an interruption come once more that fell into a destructor, from which Python lets nothing out."""
    handlers = [number for number in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(number))]
    if issubclass(lost.exc_type, KeyboardInterrupt) and handlers:
        again = threading.Timer(AGAIN, signal.pthread_kill, [threading.main_thread().ident, handlers[0]])
        again.daemon = True
        again.start()
    else:
        _tell_unraisable(lost)


_tell_unraisable, sys.unraisablehook = sys.unraisablehook, _interrupt_again
sys.excepthook = _tell  # an interruption while modules are imported, which takes seconds, is no traceback, either
