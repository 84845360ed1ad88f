"""The public data sets, a folder each: where it comes from, its licence, how to read it and how to draw its sample.

The module `reader` of a folder is cheap to import and has

    TITLE, LICENCE, LICENCE_URL, CITATION, HOMEPAGE: str
    CLASSES: tuple[str, ...]                    class names by class code
    TISSUES: tuple[str, ...]                    what the group of a tile can be
    OFFICIAL_SPLITS: dict[int, dict[str, str]]  run -> shard, or group of a tile -> side of the split
    SPLIT_IS_PARTIAL: bool                      True where the official split leaves out what it does not name (else
                                                that is refused); may be missing
    MICRONS_PER_PIXEL, MAGNIFICATION: float
    FILES: tuple[RemoteFile, ...]               what `source: official` downloads; none where a program cannot
    SLIDES: set[str]                            suffixes of whole slides, where it is made of them; `find` then also
                                                takes how they are cut (pipeline.base.params.Tiling)
    find(folder: Path) -> list[Source]          the parts that lie in a folder, or a Problem where there is none

and a part, which becomes one shard of the tile store, has

    name: str                                   of the shard
    files: list[Path]                           that it reads
    count: int                                  of tiles; of a slide's at most, as background is found when it is read
    tile_size: int | tuple[int, int]            px a side, or height and width
    resolution: tuple[float, float]             µm per px, magnification; only where parts differ in it
    tiles() -> Iterator[Tile]                   in order, streamed; a Problem names file and tile

There is no list of modules: adding a data set touches no file that another one depends on.
"""

import importlib
from dataclasses import dataclass
from typing import Any

from pipeline.base.errors import Problem


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set at its official address."""

    name: str  # of the file under data/raw/<dataset>
    url: str
    sha256: str  # or md5:... where no SHA-256 is published
    bytes: int | None = None  # where it is known


def load(name: str, module: str = "reader") -> Any:
    """Import a module of a data set, `reader` or `drawing`."""
    try:
        return importlib.import_module(f"pipeline.datasets.{name}.{module}")
    except ModuleNotFoundError as error:
        if error.name != f"pipeline.datasets.{name}":
            raise
        raise Problem(f"there is no data set named {name}; give the name of a folder in pipeline/datasets.") from None
