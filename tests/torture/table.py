"""One row a kind of thing that went wrong on purpose: how often, and how often nothing was lost and nothing silent."""

from collections.abc import Iterable
from dataclasses import dataclass, field

HEADER = "| what | kind | tried | held |\n|---|---|--:|--:|"


@dataclass
class Row:
    """A kind of trouble."""

    what: str  # kill, fault, input or corruption
    kind: str  # train, full disk, GeoJSON, a flipped bit in a shard
    tried: int = 0
    held: int = 0
    broken: list[str] = field(default_factory=list)  # what went wrong, a sentence each

    def add(self, fault: str | None) -> None:
        """One more try; `fault` says what was lost or silent, None that it held."""
        self.tried += 1
        self.held += fault is None
        if fault is not None:
            self.broken.append(fault)


def render(rows: Iterable[Row]) -> str:
    """A Markdown table, and below it a line for each that did not hold."""
    found = list(rows)
    lines = [HEADER, *(f"| {row.what} | {row.kind} | {row.tried:,} | {row.held:,} |" for row in found)]
    lines.append(f"| all | | {sum(row.tried for row in found):,} | {sum(row.held for row in found):,} |")
    broken = [f"- {row.what}, {row.kind}: {fault}" for row in found for fault in row.broken]
    return "\n".join([*lines, *([""] if broken else []), *broken]) + "\n"
