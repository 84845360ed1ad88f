"""Work of several things, each in a process of its own that is forked from this one: none can take another with it.

What a process held is given back when it ends, so that memory does not grow with the number of things.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from pipeline.base.errors import PARENT_ENDS, Problem

T = TypeVar("T")
R = TypeVar("R")
TRIES = 2  # of what a process is killed over
ENVIRONMENT = "LOBULE_WORKERS"


def workers() -> int:
    """How many processes LOBULE_WORKERS asks for."""
    return asked(ENVIRONMENT)


def asked(name: str) -> int:
    """A whole number from 1 that a variable of the environment gives; 1 where it gives none.

    Raises:
        Problem: it is no such number.
    """
    text = os.environ.get(name, "").strip() or "1"
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise Problem(f"{name} is {text!r} in the environment; give a whole number from 1, or unset it.")
    return int(text)


def each(things: Mapping[str, T], do: Callable[[T], R], at_once: int) -> Iterator[tuple[str, R | Problem]]:
    """What `do` gives of each thing, or the Problem that it has, in the order in which they end.

    Args:
        things: by name.
        at_once: processes; with 1 all is done in this one, and one after another.

    Raises:
        Exception: what `do` raised, but for Problems.
    """
    if at_once == 1 or len(things) == 1:
        for name, thing in things.items():
            yield name, _tried(do, thing)
        return
    fork = multiprocessing.get_context("fork")
    waiting, tries = list(things), dict.fromkeys(things, 0)
    running: dict[Connection, tuple[str, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                name = waiting.pop(0)
                tries[name] += 1
                told, telling = fork.Pipe(duplex=False)
                process = fork.Process(target=_child, args=(do, things[name], telling), daemon=True)
                process.start()
                telling.close()
                running[told] = name, process
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                name, process = running.pop(ready)
                try:
                    found = ready.recv()
                except EOFError:
                    process.join()
                    if tries[name] < TRIES:
                        print(f"{name}: its process was lost ({_end(process.exitcode)}), it is begun anew", flush=True)
                        waiting.insert(0, name)
                        continue
                    found = Problem(
                        f"{name}: {TRIES} processes that worked on it were lost ({_end(process.exitcode)}); give fewer"
                        f" {ENVIRONMENT}, so that each has more memory."
                    )
                process.join()
                if isinstance(found, Exception) and not isinstance(found, Problem):
                    raise found
                yield name, found
    finally:
        for _, process in running.values():
            process.kill()
            process.join()


def _tried(do: Callable[[T], R], thing: T) -> R | Problem:
    try:
        return do(thing)
    except Problem as problem:
        return problem


def _child(do: Callable[[T], R], thing: T, telling: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started it is told, and ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_ENDS, signal.SIGKILL)
    try:
        found: Any = _tried(do, thing)
    except Exception as error:
        found = error
    telling.send(found)


def _end(code: int | None) -> str:
    return f"signal {-code}" if code and code < 0 else f"exit code {code}"
