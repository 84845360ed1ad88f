"""What a study and what is told of it need to know of a person's data, of whatever kind these are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline.base.errors import Problem
from pipeline.base.params import Kind
from pipeline.base.schema import Block

Item = TypeVar("Item")
Seen = TypeVar("Seen")
TOLD = 20  # problems


@dataclass(frozen=True)
class Found:
    """Data as they were understood, and how that stands in params.yaml."""

    kind: Kind
    words: str  # what the data are, for the head of the study
    source: Path  # the folder that everything lies in
    settings: Block  # of the kind
    classes: list[str]  # the first of them the background
    nuclei: bool  # whether what is annotated are nuclei, each by itself, and not areas
    tile_size: int  # px
    microns_per_pixel: float  # of tiles
    names: list[str]  # of images or slides
    tiles: list[int]  # of each of them
    patients: dict[str, str]  # of each of them, by name; "" where nothing tells
    patients_from: str
    lines: list[str]  # what was understood, a line each
    pictures: Callable[[], list[tuple[str, Any]]]  # some of them for the contact sheet
    largest: int = 0  # px of what is held in memory as a whole
    things: str = "images"
    at_most: str = ""  # what stands before the number of tiles, where fewer may be kept
    by: str = "group"  # how a study splits
    fractions: tuple[float, float, float] | None = None  # where they do not follow from the number of patients
    runs: list[int] = field(default_factory=lambda: [1])

    @property
    def thing(self) -> str:
        """One of the images or slides, as a word."""
        return self.things.removesuffix("s")

    @property
    def owners(self) -> list[str]:
        """The patient of each image or slide, or itself where nobody is known."""
        return [self.patients.get(name) or f"{self.thing} {name}" for name in self.names]


def tried(items: Sequence[Item], look: Callable[[Item], Seen], things: str) -> list[Seen]:
    """What is seen in each of some things.

    Raises:
        Problem: one of them cannot be used; all are tried.
    """
    found, problems = [], []
    for item in items:
        try:
            found.append(look(item))
        except Problem as problem:
            problems.append(str(problem))
    refuse(problems, len(items), things)
    return found


def refuse(problems: Sequence[str], whole: int, things: str) -> None:
    """Refuse what could not be read, all of it at once."""
    if problems:
        more = [f"and {len(problems) - TOLD:,} more"] if len(problems) > TOLD else []
        listed = "\n        ".join([*problems[:TOLD], *more])
        raise Problem(listed if len(problems) == 1 else f"{len(problems)} of {whole} {things} fail:\n        {listed}")
