"""What runs, waits and is done: a live table on a terminal, lines in a log."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any

from pipeline.cluster.needs import kind


class Board:
    """A table with a line for each stage that runs, and one for all; what is said goes above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> "Board":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, of: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print lines that stay."""
        if self._console.is_terminal:
            self._console.print(text)
        else:
            print(text, flush=True)

    def show(self, running: Mapping[str, float], counts: Mapping[str, int], to_go: float | None) -> None:
        """Renew the table.

        Args:
            running: when each stage began that runs, s of time.monotonic().
            counts: how many stages are waiting, done, ...
            to_go: seconds; None where nothing tells.
        """
        if self._console.is_terminal:
            self._live.update(table(running, counts, to_go, time.monotonic()), refresh=True)


def table(running: Mapping[str, float], counts: Mapping[str, int], to_go: float | None, now: float) -> Any:
    """The table as rich prints it."""
    from rich.table import Table
    from rich.text import Text

    lines = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, since in running.items():
        lines.add_row(Text(name), clock(now - since))
    said = ", ".join([f"{len(running)} running", *(f"{count} {what}" for what, count in counts.items() if count)])
    lines.add_row(said, "" if to_go is None else f"{clock(to_go)} to go")
    return lines


def clock(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Estimate:
    """How long stages take, learned from those that have ended, by kind."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def learn(self, stage: str, seconds: float) -> None:
        self._seconds[kind(stage)].append(seconds)

    def to_go(self, waiting: Collection[str], running: Mapping[str, float], at_once: int, now: float) -> float | None:
        """Seconds until all are done, so many at once; None before any has ended."""
        every = [seconds for known in self._seconds.values() for seconds in known]
        if not every:
            return None

        def usual(stage: str) -> float:
            known = self._seconds.get(kind(stage)) or every
            return sum(known) / len(known)

        left = [max(0.0, usual(stage) - (now - since)) for stage, since in running.items()]
        work = sum(left) + sum(usual(stage) for stage in waiting)
        return max(work / at_once, max(left, default=0.0))
