"""The public data sets, a folder each: its card, its reader, and the drawing of its sample.

    card.py      CARD: Card, what is known of the data set before a file of it is there; cheap to import
    reader.py    a Reader, or a SlideReader: the parts that lie in a folder, and their tiles
    drawing.py   a Drawing: a small synthetic stand-in, in the data set's own format

There is no list of data sets: adding one touches no file that another one depends on.

Your own data sets, under `own` in params.yaml, have no folder here: each is of a kind, a folder without a drawing,
whose modules make card and reader of what params.yaml says of the data set.

    card.py      card(name, settings) -> Card
    reader.py    reader(settings) -> Reader
"""

import importlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from pipeline.base.errors import Problem
from pipeline.base.params import Tiling, read_params
from pipeline.base.schema import Block

if TYPE_CHECKING:
    from pipeline.tiles.store import Tile

AT_MAGNIFICATION = 10.0  # µm/px times magnification


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set at its official address."""

    name: str  # of the file under data/raw/<dataset>
    url: str
    sha256: str  # or md5:... where no SHA-256 is published
    bytes: int | None = None  # where it is known


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of a data set before a file of it is there."""

    name: str  # of its folder in pipeline/datasets
    title: str
    licence: str
    licence_url: str
    citation: str
    homepage: str
    classes: tuple[str, ...]  # names by class code
    groups: tuple[str, ...]  # what the group of a tile can be; empty where it is not known
    official_splits: Mapping[int, Mapping[str, str]]  # run -> shard, or group of a tile -> side of the split
    split_is_partial: bool = False  # whether what the official split does not name is left out, else it is refused
    microns_per_pixel: float
    magnification: float
    files: tuple[RemoteFile, ...]  # what `source: official` downloads; none where a program cannot
    sample: type[Block]  # the settings of its drawing
    nuclei: bool = True  # where there is a background: whether what is not in it are nuclei, else areas
    slides: frozenset[str] = frozenset()  # suffixes of whole slides, where it is made of them


def own_card(
    name: str,
    classes: Iterable[str],
    microns_per_pixel: float,
    *,
    official_splits: Mapping[int, Mapping[str, str]] | None = None,
    nuclei: bool = True,
    slides: frozenset[str] = frozenset(),
) -> Card:
    """The card of a data set of one's own, of which nobody published anything."""
    return Card(
        name=name,
        title=name,
        licence="yours",
        licence_url="",
        citation="",
        homepage="",
        classes=tuple(classes),
        groups=(),
        official_splits=official_splits or {},
        microns_per_pixel=microns_per_pixel,
        magnification=AT_MAGNIFICATION / microns_per_pixel,
        files=(),
        sample=Block,  # nothing is drawn
        nuclei=nuclei,
        slides=slides,
    )


class Part(Protocol):
    """A part of a data set, which becomes one shard of the tile store; a whole slide is a SlidePart, too."""

    @property
    def name(self) -> str:
        """Name of the shard."""

    @property
    def files(self) -> list[Path]:
        """The files that it reads."""

    @property
    def count(self) -> int:
        """Number of tiles; of a slide's the most that there can be, as background is found when it is read."""

    @property
    def tile_size(self) -> int | tuple[int, int]:
        """Pixels a side, or height and width."""

    @property
    def resolution(self) -> tuple[float, float]:
        """Microns per pixel and magnification of the tiles."""

    def tiles(self) -> "Iterator[Tile]":
        """The tiles in order, streamed; a Problem names file and tile."""


@runtime_checkable
class SlidePart(Protocol):
    """What a part has beside Part where it is a whole slide: its tiles have `bits`, and it holds files open."""

    left_out: Counter[str]  # what its annotation holds that is no lesion, and how many; known after `tiles`

    def write_index(self, folder: Path) -> None:
        """Write the index of all tiles, kept or not, and the slide's pictures into a folder; after `tiles`."""

    def close(self) -> None:
        """Close the slide and forget what was read."""


class Reader(Protocol):
    """The module `reader` of a data set."""

    def find(self, folder: Path) -> Sequence[Part]:
        """The parts that lie in a folder, or a Problem where there is none or one is wrong."""


class SlideReader(Protocol):
    """The module `reader` of a data set of whole slides, which is a Reader, too."""

    def find(self, folder: Path, tiling: Tiling | None = None) -> Sequence[Part]:
        """The parts that lie in a folder; `tiling` says how their slides are cut."""


class Drawing(Protocol):
    """The module `drawing` of a data set."""

    def draw(self, folder: Path, seed: int, settings: Any) -> None:
        """Draw the sample into a folder; `settings` are of the card's `sample`. Same seed, same bytes."""


def names() -> list[str]:
    """The names of the public data sets, sorted."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/drawing.py"))


def kinds() -> list[str]:
    """The kinds that data sets of one's own can be of, sorted."""
    return sorted({path.parent.name for path in Path(__file__).parent.glob("*/card.py")} - {*names()})


def load_card(name: str) -> Card:
    """The card of a data set; a Problem where there is no such data set."""
    if own := _own(name):
        return cast(Card, own.module("card").card(name, own.settings))
    return cast(Card, _load(name, "card").CARD)


def load_reader(name: str) -> Reader:
    """The reader of a data set; a Problem where there is no such data set."""
    if own := _own(name):
        return cast(Reader, own.module("reader").reader(own.settings))
    return cast(Reader, _load(name, "reader"))


def load_slide_reader(name: str) -> SlideReader:
    """The reader of a data set whose card names suffixes of slides; a Problem where there is no such data set."""
    return cast(SlideReader, _load(name, "reader"))


def load_drawing(name: str) -> Drawing:
    """The drawing of a data set's sample; a Problem where there is no such data set."""
    return cast(Drawing, _load(name, "drawing"))


@dataclass(frozen=True)
class _Own:
    """The kind of a data set of one's own, and what params.yaml says of it."""

    kind: str
    settings: Any

    def module(self, name: str) -> Any:
        return importlib.import_module(f"pipeline.datasets.{self.kind}.{name}")


def _own(name: str) -> _Own | None:
    """A data set of one's own; None where a public one has the name, or none."""
    if name in names():
        return None
    params = read_params()
    kind = params.own.get(name)
    return _Own(kind, getattr(params.datasets[name], kind)) if kind else None


def _load(name: str, module: str) -> Any:
    if name not in names():
        raise Problem(f"there is no data set named {name}; give one of {', '.join(names())}.")
    return importlib.import_module(f"pipeline.datasets.{name}.{module}")
