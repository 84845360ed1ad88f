"""One row a kind of thing that went wrong on purpose: how often, and how often nothing was lost and nothing silent."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

HEADER = "| what | kind | tried | held |\n|---|---|--:|--:|"


@dataclass
class Row:
    """A kind of trouble."""

    what: str  # kill, fault, input or corruption
    kind: str  # train, full disk, GeoJSON, a flipped bit in a shard
    tried: int = 0
    held: int = 0
    broken: list[str] = field(default_factory=list)  # what went wrong, a sentence each
    log: Path | None = None

    def add(self, fault: str | None) -> None:
        """One more try; `fault` says what was lost or silent, None that it held."""
        self.tried += 1
        self.held += fault is None
        if fault is not None:
            self.broken.append(fault)
        if self.log:
            with self.log.open("a", encoding="utf-8") as file:
                print(json.dumps([self.what, self.kind, fault]), file=file)

    def add_all(self, tries: Iterable[Callable[[], str | None]]) -> None:
        """All of these tries but those that have been done, each of which says what was lost or silent."""
        for attempt in list(tries)[self.tried :]:
            self.add(attempt())


class Log:
    """What has been tried, a line a try in a file; without a file each row begins at nothing."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.rows: dict[tuple[str, str], Row] = {}
        if path and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                what, kind, fault = json.loads(line)
                row = self.row(what, kind)
                row.log = None
                row.add(fault)
                row.log = path

    def row(self, what: str, kind: str) -> Row:
        """The row of a kind, to be gone on with."""
        return self.rows.setdefault((what, kind), Row(what, kind, log=self._path))


def render(rows: Iterable[Row]) -> str:
    """A Markdown table, and below it a line for each that did not hold."""
    found = list(rows)
    lines = [HEADER, *(f"| {row.what} | {row.kind} | {row.tried:,} | {row.held:,} |" for row in found)]
    lines.append(f"| all | | {sum(row.tried for row in found):,} | {sum(row.held for row in found):,} |")
    broken = [f"- {row.what}, {row.kind}: {fault}" for row in found for fault in row.broken]
    return "\n".join([*lines, *([""] if broken else []), *broken]) + "\n"
