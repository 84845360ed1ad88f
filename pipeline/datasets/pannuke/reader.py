"""PanNuke: 7,901 tiles of 19 tissues with five classes of nuclei, in three folds (docs/datasets/pannuke.md).

A fold is `images.npy` (N, S, S, 3), `masks.npy` (N, S, S, 6) and `types.npy` (N,), unpacked or inside the official
zip. Both big arrays are float64, up to 8 GB each, so they are read tile by tile and never unpacked. Mask
channels 0 to 4 hold instance ids (0 = none, unique within their channel), channel 5 marks the background.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.base.errors import Problem
from pipeline.datasets.discovery import look
from pipeline.datasets.pannuke.card import CARD
from pipeline.datasets.pannuke.npy import CURE, Npy

if TYPE_CHECKING:
    from pipeline.tiles.store import ClassMap, InstanceMap, Tile

CHANNELS = (0, 1, 2, 3, 4, 5)  # of its masks, by class code; the last one is the background
ARRAYS = ("images", "masks", "types")
FOLD = re.compile(r"fold[ _-]*([123])", re.IGNORECASE)


def find(folder: Path) -> list["Fold"]:
    """The folds that lie in `folder`, unpacked or zipped, in order; an unpacked fold goes before its zip.

    Raises:
        Problem: there is none, one is incomplete or there twice, or a zip is damaged or unsafe.
    """
    found = find_arrays(folder, FOLD)
    return [Fold(name, arrays["images"], arrays["masks"], arrays["types"]) for name, arrays in found.items()]


def find_arrays(folder: Path, pattern: re.Pattern[str]) -> dict[str, dict[str, Npy]]:
    """The arrays of each fold in `folder`, by its name, in order; `pattern` finds its number in a folder's name.

    Raises:
        Problem: there is no fold, one is incomplete or there twice, or a zip is damaged or unsafe.
    """
    lying = look(folder)
    found = _by_fold([(Npy(file.path), file.name) for file in lying.files], pattern)
    members: list[tuple[Npy, PurePosixPath]] = []
    twice = []
    for archive in lying.zips():
        named = pattern.fullmatch(archive.name.stem)
        if named and f"fold{named[1]}" in found:
            twice.append(archive)
        elif named:
            folded = PurePosixPath(archive.name.stem)
            members += [(Npy(file.path, file.inside), folded / file.name) for file in lying.enter(archive)]
    found = _by_fold(members, pattern) | found
    read = {(npy.path, npy.member) for fold in found.values() for npy in fold.values()}
    used = [file for file in lying.files if (file.path, file.inside) in read]
    lying.tell(used, {"zips of folds that are there unpacked": twice})
    if not found:
        raise Problem(
            f"{folder} holds no fold of PanNuke: neither fold_1.zip (2, 3) nor 'Fold 1/images/fold1/images.npy'"
            " (2, 3); give the folder in which they lie."
        )
    for name, arrays in found.items():
        missing = [array for array in ARRAYS if array not in arrays]
        if missing:
            there = next(iter(arrays.values()))
            raise Problem(f"{name} in {folder} has {there} but no {missing[0]}.npy; {CURE}.")
    return {name: found[name] for name in sorted(found)}


def _by_fold(files: list[tuple["Npy", PurePosixPath]], pattern: re.Pattern[str]) -> dict[str, dict[str, "Npy"]]:
    """Which of the files are a fold's arrays, by the name of the innermost folder that names a fold."""
    found: dict[str, dict[str, Npy]] = {}
    for npy, path in files:
        folds = [match[1] for part in path.parts[:-1] if (match := pattern.fullmatch(part))]
        array = path.stem.lower()
        if path.suffix.lower() != ".npy" or array not in ARRAYS or not folds:
            continue
        arrays = found.setdefault(f"fold{folds[-1]}", {})
        other = arrays.setdefault(array, npy)
        if other is not npy:
            raise Problem(f"{other} and {npy} are both the {array} of fold {folds[-1]}; move one of them away.")
    return found


@dataclass(frozen=True)
class Fold:
    """One fold of PanNuke; a pipeline.datasets.Part."""

    name: str
    images: Npy
    masks: Npy
    types: Npy
    resolution: tuple[float, float] = (CARD.microns_per_pixel, CARD.magnification)
    channels: tuple[int, ...] = CHANNELS  # of the masks: those of the classes by code, the background's last
    tissues: tuple[str, ...] | None = CARD.groups  # None: whatever types.npy has

    @property
    def files(self) -> list[Path]:
        return sorted({array.path for array in (self.images, self.masks, self.types)})

    @cached_property
    def _shape(self) -> tuple[int, int]:
        """Number and size of the tiles, once all three arrays are known to fit together."""
        self.images.check("fiu", "(tiles, size, size, 3)", None, None, None, 3)
        count, size, width, _ = self.images.header.shape
        self.images.check("fiu", "(tiles, size, size, 3) with square tiles", count, width, width, 3)
        like = f"as {self.images} has {count} tiles of {size} px"
        channels = len(self.channels)
        self.masks.check("fiu", f"{(count, size, size, channels)}, {like}", count, size, size, channels)
        self.types.check("US", f"{(count,)}, {like}", count)
        return count, size

    @property
    def count(self) -> int:
        return self._shape[0]

    @property
    def tile_size(self) -> int:
        return self._shape[1]

    def tiles(self) -> Iterator["Tile"]:
        """The tiles in the fold's order, all tissues; what two nuclei claim goes to the later channel."""
        from pipeline.tiles.store import Tile  # not on top: check and download read this module too, and need no HDF5

        rows = zip(range(self.count), self.images.rows(), self.masks.rows(), self.types.rows(), strict=True)
        for index, pixels, values, tissue in rows:
            image = whole_numbers(pixels, np.uint8, f"{self.images}: tile {index}")
            where = f"{self.masks}: tile {index}"
            channels = whole_numbers(values, np.int32, where)
            ids = channels[..., self.channels[:-1]]
            class_map, instance_map, nuclei = merge(ids)
            claims = np.count_nonzero(ids, axis=-1)
            conflict = count_conflict(channels[..., self.channels[-1]], claims > 0, where, self.channels[-1])
            overlap = int((claims > 1).sum())
            group = tissue_name(tissue, f"{self.types}: tile {index}", self.tissues)
            yield Tile(image, class_map, instance_map, nuclei, index, group=group, overlap=overlap, conflict=conflict)


def tissue_name(value: npt.NDArray[Any], where: str, tissues: Collection[str] | None) -> str:
    """One entry of types.npy; a Problem if it is none of the tissues, for no study would ever pick the tile."""
    try:
        name = str(value.astype(str).item())
    except ValueError:  # no text at all
        name = repr(value.tobytes())
    if tissues is not None and name not in tissues:
        raise Problem(f"{where} is of the tissue {name!r}, not one of {', '.join(tissues)}; {CURE}.")
    return name


def whole_numbers(values: npt.NDArray[Any], dtype: type[np.integer[Any]], where: str) -> npt.NDArray[Any]:
    """Values of any real type as integers of `dtype`; a Problem if one is no whole number from 0 to its largest."""
    with np.errstate(invalid="ignore"):
        whole = values.astype(dtype)
    if (whole == values).all() and whole.min() >= 0:
        return whole
    low, high = values.min(), values.max()
    if not np.isfinite(values).all():
        found = "NaN or an infinite value"
    elif low < 0 or high > np.iinfo(dtype).max:
        found = f"values from {low:g} to {high:g}, outside 0 to {np.iinfo(dtype).max}"
    else:
        found = "values that are no whole numbers"
    raise Problem(f"{where} holds {found}; {CURE}.")


def merge(ids: npt.NDArray[np.int32]) -> tuple["ClassMap", "InstanceMap", dict[int, int]]:
    """One class map and one instance map out of a channel of instance ids for each class.

    Args:
        ids: (H, W, C), 0 = none; an id stands for one nucleus within its channel.

    Returns:
        Class map (H, W) uint8, channel + 1 or 0; instance map (H, W) int32, numbered 1 to n by channel, then by id;
        and the class of each number. A pixel in several channels belongs to the last of them; a nucleus that loses all
        its pixels so is gone.
    """
    class_map = np.zeros(ids.shape[:2], np.uint8)
    winner = np.zeros(ids.shape[:2], np.int64)
    for channel in range(ids.shape[2]):
        inside = ids[..., channel] > 0
        class_map[inside] = channel + 1
        winner[inside] = np.int64(channel + 1 << 32) + ids[..., channel][inside]
    instance_map = np.zeros(ids.shape[:2], np.int32)
    nuclei, numbers = np.unique(winner[class_map > 0], return_inverse=True)
    instance_map[class_map > 0] = numbers + 1
    return class_map, instance_map, {number + 1: int(nucleus >> 32) for number, nucleus in enumerate(nuclei)}


def count_conflict(
    background: npt.NDArray[np.int32], nucleus: npt.NDArray[np.bool_], where: str, channel: int = CHANNELS[-1]
) -> int:
    """Pixels (H, W) that background and nuclei both claim, or neither; the nuclei are believed.

    A few are counted. Masks whose channels are swapped or mixed up are refused: a background with several values,
    or one that covers most of the nuclei (of more than a hundredth of the tile, since a sliver proves nothing).
    """
    marks = background[background > 0]
    if (marks != marks[:1]).any():
        raise Problem(f"{where} has several ids in channel {channel}, which marks the background by one value; {CURE}.")
    both = int((nucleus & (background > 0)).sum())
    if 2 * both > nucleus.sum() and 100 * nucleus.sum() > nucleus.size:
        raise Problem(
            f"{where} disagrees with itself: channel {channel} marks {both:,} of the {nucleus.sum():,} px of its nuclei"
            f" as background; {CURE}."
        )
    return both + int((~nucleus & (background == 0)).sum())
