"""What the values of a mask mean: a class map, an instance map, the class of each nucleus."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.base.errors import Problem
from pipeline.base.params import Masks
from pipeline.datasets.labels import number_nuclei
from pipeline.datasets.masks.arrays import read_dictionary
from pipeline.datasets.masks.class_table import code_of
from pipeline.datasets.masks.pairs import Pair
from pipeline.datasets.masks.pictures import read_colours, read_image, read_numbers
from pipeline.datasets.members import Member

if TYPE_CHECKING:
    from pipeline.tiles.store import ClassMap, Image, InstanceMap

    Labels = tuple[ClassMap, InstanceMap, dict[int, int]]  # the last one: instance id -> class code

NOWHERE = 255  # code of pixels that count in no loss and no score, as in the tile store
Numbers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Annotated:
    """An image and what is annotated in it, all of one size."""

    image: "Image"
    class_map: "ClassMap"
    instance_map: "InstanceMap"
    nuclei: dict[int, int]  # instance id -> class code
    claimed: npt.NDArray[np.bool_] | None = None  # (H, W), by several nuclei; None where files cannot tell


def values_of(text: int | str) -> list[int]:
    """The values that stand for a class: codes, or colours (#rrggbb) as numbers.

    Raises:
        ValueError: one is neither.
    """
    parts = [part.strip() for part in str(text).split(",")]
    return [int(part[1:], 16) if part.startswith("#") and len(part) == 7 else int(part) for part in parts]


@dataclass(frozen=True)
class Meaning:
    """How masks are read."""

    settings: Masks

    def read(self, pair: Pair) -> Annotated:
        """Image and annotation of a pair.

        Raises:
            Problem: a file cannot be read, their sizes differ, or a value has no meaning.
        """
        image = read_image(pair.image)
        return Annotated(image, *self.labels(pair, image.shape[:2]))

    def labels(self, pair: Pair, size: tuple[int, ...], thing: str = "image") -> "Labels":
        """Class map, instance map and the class code of each nucleus of a pair.

        Args:
            size: height and width of the image.
            thing: what it is called where a mask does not fit.

        Raises:
            Problem: a file cannot be read, is of another size, or a value has no meaning.
        """
        if self.settings.values == "dictionaries":
            numbers, classes = read_dictionary(pair.mask)
            check_size(pair.mask, numbers, f"{thing} {pair.image}", size)
            return self._instances(pair, numbers, self.codes(classes, pair.mask))
        numbers = self.numbers(pair.mask)
        check_size(pair.mask, numbers, f"{thing} {pair.image}", size)
        if self.settings.values == "instances":
            return self._instances(pair, numbers, self._class_map(pair, size, thing, numbers))
        class_map = self.codes(numbers, pair.mask)
        instance_map = pieces_of(class_map) if self.settings.pieces else np.zeros(class_map.shape, np.int32)
        return class_map, instance_map, classes_of(instance_map, class_map, pair.mask)

    def numbers(self, mask: Member) -> Numbers:
        """What stands in a mask, (H, W)."""
        return read_colours(mask) if self.settings.values == "colours" else read_numbers(mask)

    def codes(self, numbers: Numbers, mask: Member) -> "ClassMap":
        """Class codes (H, W) of a mask's numbers.

        Raises:
            Problem: a value stands for no class.
        """
        known, codes = self._lookup
        place = np.searchsorted(known, numbers).clip(max=len(known) - 1)
        strange = np.unique(numbers[known[place] != numbers])
        if strange.size:
            raise Problem(
                f"{mask} holds the {self._called(strange)}, which no class has; add it to the legend (classes), or to"
                " what counts nowhere (ignore)."
            )
        class_map: ClassMap = codes[place]
        return class_map

    def _called(self, values: Numbers) -> str:
        colours = self.settings.values == "colours"
        named = ", ".join(f"#{value:06x}" if colours else str(value) for value in values[:5])
        return f"{'colour' if colours else 'value'} {named}{', ...' if len(values) > 5 else ''}"

    @cached_property
    def _lookup(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        meant = [(value, code) for code, text in enumerate(self.settings.classes.values()) for value in values_of(text)]
        if self.settings.ignore is not None:
            meant += [(value, NOWHERE) for value in values_of(self.settings.ignore)]
        known, codes = zip(*sorted(meant), strict=True)
        return np.array(known, np.int64), np.array(codes, np.uint8)

    def _class_map(self, pair: Pair, size: tuple[int, ...], thing: str, numbers: Numbers) -> "ClassMap | None":
        """The classes of nuclei that lie beside, as a map or a table; None where all are of one class."""
        if pair.table is not None:
            return self._tabled(pair, numbers)
        if pair.classes is None:
            return None
        codes = read_numbers(pair.classes)
        check_size(pair.classes, codes, f"{thing} {pair.image}", size)
        return self.codes(codes, pair.classes)

    def _tabled(self, pair: Pair, numbers: Numbers) -> "ClassMap":
        """Class codes (H, W) of nuclei whose classes stand in a table.

        Raises:
            Problem: one has no row, or its class is none of the classes, or the first one.
        """
        ignored = [] if self.settings.ignore is None else values_of(self.settings.ignore)
        known, places = np.unique(numbers, return_inverse=True)
        codes = np.zeros(len(known), np.uint8)
        wanted = [(place, int(number)) for place, number in enumerate(known) if number and number not in ignored]
        if missing := [number for _, number in wanted if number not in pair.rows]:
            more = f" and {len(missing) - 1:,} more of its nuclei" if len(missing) > 1 else ""
            raise Problem(f"{pair.table} has no row of nucleus {missing[0]} in {pair.mask}{more}; add it.")
        for place, number in wanted:
            code = code_of(pair.rows[number], self.settings.classes)
            if not code:
                raise Problem(
                    f"{pair.table} calls nucleus {number} of {pair.name} {pair.rows[number]!r}, which is none of the"
                    f" classes {', '.join(list(self.settings.classes)[1:])}; correct it, or name it among them."
                )
            codes[place] = code
        if gone := len(pair.rows.keys() - {number for _, number in wanted}):
            print(f"{pair.table}: {gone:,} of {len(pair.rows):,} rows of {pair.name} are of no nucleus in its mask")
        class_map: ClassMap = codes[places].reshape(numbers.shape)
        return class_map

    def _instances(self, pair: Pair, numbers: Numbers, class_map: "ClassMap | None") -> "Labels":
        """Class map, instance map and classes of nuclei from their numbers."""
        ignored = np.zeros(numbers.shape, np.bool_)
        if self.settings.ignore is not None and self.settings.values == "instances":
            ignored = np.isin(numbers, values_of(self.settings.ignore))
        instance_map = number_nuclei(np.where(ignored, 0, numbers), pair.mask)
        if class_map is None:
            class_map = (instance_map > 0).astype(np.uint8)
        class_map[ignored] = NOWHERE
        return class_map, instance_map, classes_of(instance_map, class_map, pair.mask)


def check_size(mask: Member, numbers: Numbers, of: str, size: tuple[int, ...]) -> None:
    """Refuse a mask of another size than its image, whose height and width are given."""
    if numbers.shape != size:
        raise Problem(
            f"{mask} has {numbers.shape[1]} x {numbers.shape[0]} px, its {of} {size[1]} x {size[0]}; export one"
            " of them again."
        )


def pieces_of(class_map: "ClassMap") -> "InstanceMap":
    """Every connected piece of one class but the first, corners included, numbered from 1."""
    from skimage.measure import label

    return label(np.where(class_map == NOWHERE, 0, class_map), background=0, connectivity=2).astype(np.int32)


def classes_of(instance_map: "InstanceMap", class_map: "ClassMap", mask: Member) -> dict[int, int]:
    """The class code of each nucleus: that of most of its pixels, the first class left out.

    Raises:
        Problem: a nucleus has a pixel of no class.
    """
    here = (instance_map > 0) & (class_map > 0) & (class_map != NOWHERE)
    counts = np.zeros((int(instance_map.max(initial=0)) + 1, NOWHERE), np.int64)
    np.add.at(counts, (instance_map[here], class_map[here]), 1)
    numbers = np.unique(instance_map[instance_map > 0])
    bare = numbers[counts[numbers].sum(axis=1) == 0]
    if bare.size:
        raise Problem(f"{mask} has the nucleus {bare[0]}, which its class map calls background; correct one of them.")
    return {int(number): int(counts[number].argmax()) for number in numbers}


def check_values(settings: Masks, where: str) -> None:
    """Refuse classes whose values are no values, or stand for two.

    Raises:
        Problem: naming the class.
    """
    seen: dict[int, str] = {}
    for name, text in [*settings.classes.items(), *_ignored(settings)]:
        try:
            values = values_of(text)
        except ValueError:
            raise Problem(f"{where}: {name} is {text!r}; give codes such as 1, or colours such as #ff0000.") from None
        for value in values:
            if (other := seen.setdefault(value, name)) != name:
                raise Problem(f"{where}: {name} and {other} have the same value, {text}; give each its own.")


def _ignored(settings: Masks) -> Iterable[tuple[str, int | str]]:
    return [] if settings.ignore is None else [("ignore", settings.ignore)]
