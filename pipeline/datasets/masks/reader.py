"""Images and masks of one's own, cut into tiles: the parts that lie in a folder, as params.yaml describes it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pipeline.base.errors import Problem
from pipeline.base.params import Coco, Masks
from pipeline.datasets.masks.class_table import with_rows
from pipeline.datasets.masks.pairs import Pair, find_pairs
from pipeline.datasets.masks.patients import patients_of
from pipeline.datasets.members import Member

if TYPE_CHECKING:
    from pipeline.datasets.masks.meaning import Annotated
    from pipeline.tiles.store import Tile

IN_A_PART = 50  # images; one part each would be a file each, and files are opened together
WHITE = 255
TOLD = 20  # problems, of a part


@dataclass(frozen=True)
class Images:
    """A pipeline.datasets.Reader of images and masks."""

    settings: Masks

    def find(self, folder: Path) -> list["Part[Pair]"]:
        """The images of a folder, some dozens a part, in the order of their names."""
        from pipeline.datasets.masks.meaning import check_values

        check_values(self.settings, "params.yaml: masks.classes")
        pairs = with_rows(find_pairs(folder, self.settings), folder, self.settings)
        return in_parts(pairs, folder, self.settings, partial(read_pair, self.settings))


def reader(settings: Masks) -> Images:
    """The reader of a data set of this kind."""
    return Images(settings)


def read_pair(settings: Masks, pair: Pair) -> "Annotated":
    """Image and annotation of a pair; a Problem where they cannot be read."""
    from pipeline.datasets.masks.meaning import Meaning

    return Meaning(settings).read(pair)


class Cut(Protocol):
    """What an annotated image is before it is read."""

    @property
    def name(self) -> str: ...

    @property
    def image(self) -> Member: ...

    @property
    def files(self) -> list[Path]: ...


Item = TypeVar("Item", bound=Cut)


def in_parts(
    items: Sequence[Item], folder: Path, settings: Masks | Coco, read: "Callable[[Item], Annotated]"
) -> list["Part[Item]"]:
    """Images of a folder as parts, some dozens each.

    Raises:
        Problem: the table or pattern of patients cannot be used.
    """
    patients = patients_of([item.name for item in items], folder, settings)
    table = () if settings.patient_table is None else (folder / settings.patient_table,)
    starts = range(0, len(items), IN_A_PART)
    return [
        Part(f"part{number:03}", tuple(items[start : start + IN_A_PART]), patients, settings, table, read)
        for number, start in enumerate(starts, start=1)
    ]


@dataclass(frozen=True)
class Part(Generic[Item]):
    """Some of the images; a pipeline.datasets.Part."""

    name: str
    items: tuple[Item, ...]
    patients: dict[str, str]
    settings: Masks | Coco
    tables: tuple[Path, ...]
    read: "Callable[[Item], Annotated]"

    @property
    def files(self) -> list[Path]:
        return sorted({*self.tables, *(path for item in self.items for path in item.files)})

    @property
    def tile_size(self) -> int:
        return self.settings.tile_size

    @property
    def resolution(self) -> tuple[float, float]:
        return self.settings.microns_per_pixel, 10 / self.settings.microns_per_pixel

    @cached_property
    def count(self) -> int:
        """The tiles; none of an image that cannot be read, which `tiles` tells with the others."""
        from pipeline.datasets.masks.pictures import size_of

        found = 0
        for item in self.items:
            with suppress(Problem):
                found += len(corners(*size_of(item.image), self.tile_size))
        return found

    def tiles(self) -> Iterator["Tile"]:
        """The tiles of one image after the other; every one is tried before what is wrong is told.

        Beyond the right and lower border a tile is white and counts nowhere. A nucleus that a border cuts is one on
        each side of it.
        """
        problems, index = [], 0
        for item in self.items:
            try:
                annotated = self.read(item)
            except Problem as problem:
                problems.append(str(problem))
                continue
            height, width = annotated.class_map.shape
            for row, column in corners(height, width, self.tile_size):
                yield cut(annotated, row, column, self.tile_size, index, item.name, self.patients[item.name])
                index += 1
        if problems:
            more = [f"and {len(problems) - TOLD:,} more"] if len(problems) > TOLD else []
            raise Problem("\n        ".join(problems[:TOLD] + more))


def corners(height: int, width: int, tile: int) -> list[tuple[int, int]]:
    """Row and column in px of the tiles of an image, line by line from its top left corner."""
    return [(row, column) for row in range(0, height, tile) for column in range(0, width, tile)]


def cut(annotated: "Annotated", row: int, column: int, size: int, index: int, name: str, patient: str) -> "Tile":
    """The tile of an Annotated whose corner is at row and column."""
    import numpy as np

    from pipeline.datasets.masks.meaning import NOWHERE
    from pipeline.tiles.store import Tile

    arrays = (annotated.image, annotated.class_map, annotated.instance_map)
    image, class_map, instance_map = (array[row:, column:][:size, :size] for array in arrays)
    beyond = ((0, size - class_map.shape[0]), (0, size - class_map.shape[1]))
    numbers = np.unique(instance_map[instance_map > 0])
    return Tile(
        np.pad(image, (*beyond, (0, 0)), constant_values=WHITE),
        np.pad(class_map, beyond, constant_values=NOWHERE),
        np.pad(instance_map, beyond),
        {int(number): annotated.nuclei[int(number)] for number in numbers},
        index,
        patient,
        name,
        column,
        row,
        overlap=0 if annotated.claimed is None else int(annotated.claimed[row:, column:][:size, :size].sum()),
    )
