"""BACH, part A: photographs of breast tissue, each normal, benign, in situ or invasive (docs/datasets/bach.md).

`Photos/<Class>/*.tif` with `Photos/microscopy_ground_truth.csv`, in a folder or inside the official zip. There are no
instance masks in it: the nuclei in the tile store are pseudo-instances, found by colour, each of its image's class.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.errors import Problem
from pipeline.datasets.bach.card import CARD
from pipeline.datasets.members import CURE, Member, list_members, read_rgb

if TYPE_CHECKING:
    from pipeline.tiles.store import Tile

PREFIXES = {"Normal": "n", "Benign": "b", "InSitu": "is", "Invasive": "iv"}  # folder -> beginning of its files' names
NAME = re.compile(r"(n|b|is|iv)(\d+)")
TEST_NAME = re.compile(r"test\d+")
TRUTH = "microscopy_ground_truth.csv"
Rows = dict[str, str]  # name of an image without .tif -> what a table says of it


def find(folder: Path) -> list["Photos"]:
    """The four classes of images in `folder`, unpacked or zipped; unpacked files go before those in a zip.

    Raises:
        Problem: a class has no image, a file is there twice or in another class's folder, or the ground truth says
            otherwise than the folders.
    """
    images: dict[str, dict[str, Member]] = {label: {} for label in PREFIXES}
    unlabelled = 0
    for member in list_members(folder, {".tif", ".tiff"}):
        label = member.name.parent.name
        unlabelled += bool(TEST_NAME.fullmatch(member.name.stem))
        if label not in PREFIXES:
            continue
        named = NAME.fullmatch(member.name.stem)
        if not named or named[1] != PREFIXES[label]:
            raise Problem(f"{member} lies in {label}, whose images are named {PREFIXES[label]}001.tif, ...; {CURE}.")
        other = images[label].setdefault(member.name.stem, member)
        if other is not member and other.zipped == member.zipped:
            raise Problem(f"{other} and {member} are the same file of BACH; move one of them away.")
    for label, prefix in PREFIXES.items():
        if not images[label]:
            raise Problem(
                f"{folder} holds no image of BACH's class {label}: neither Photos/{label}/{prefix}001.tif nor a zip"
                " with it; give the folder in which Photos lies."
            )
    if unlabelled:
        print(f"{folder}: {unlabelled} test images, which have no label, are left out")
    tables = list_members(folder, {".csv"})
    truth = next((table for table in tables if table.name.name == TRUTH), None)
    if truth:
        _check_labels(truth, images)
    else:
        print(f"{folder} has no {TRUTH}; the folders' names are the labels")
    table = next((table for table in tables if "patient" in table.name.stem.lower()), None)
    patients = read_rows(table) if table else {}
    parts = []
    for label, files in images.items():
        members = [files[name] for name in sorted(files)]
        known = {name: patients[name] for name in files if name in patients}
        parts.append(Photos(label, tuple(members), known, [extra.path for extra in (truth, table) if extra]))
    return parts


def read_rows(table: Member) -> Rows:
    """A CSV of two columns, file and value, with or without a header, by name of the image without .tif.

    Raises:
        Problem: a row other than the first names no image of BACH, has no value, or contradicts another one.
    """
    text = table.read().decode("utf-8-sig", errors="replace")
    rows: Rows = {}
    try:
        lines = list(csv.reader(text.replace(";", ",").splitlines()))
    except csv.Error as error:
        raise Problem(f"{table} is no table ({error}); {CURE}.") from None
    for number, row in enumerate(lines, start=1):
        cells = [cell.strip() for cell in row]
        name = cells[0].lower().removesuffix(".tif") if cells else ""
        if not any(cells) or (number == 1 and not NAME.fullmatch(name)):
            continue  # an empty line, or the header
        if not NAME.fullmatch(name) or len(cells) < 2 or not cells[1]:
            raise Problem(f"{table}: line {number} is {','.join(row)!r}, not an image of BACH and a value; {CURE}.")
        if rows.setdefault(name, cells[1]) != cells[1]:
            raise Problem(f"{table}: line {number} says of {name} {cells[1]}, an earlier one {rows[name]}; {CURE}.")
    return rows


def _check_labels(truth: Member, images: dict[str, dict[str, Member]]) -> None:
    """Refuse a ground truth that has other images than the folders, or other labels for them."""
    rows = read_rows(truth)
    for label, files in images.items():
        for name, image in files.items():
            if rows.get(name) != label:
                raise Problem(
                    f"{truth} gives {name} the label {rows.get(name, 'none')}, but it lies at {image}; {CURE}."
                )
    lost = sorted(set(rows) - {name for files in images.values() for name in files})
    if lost:
        raise Problem(f"{truth} names {lost[0]}.tif and {len(lost) - 1} more that are not there; {CURE}.")


@dataclass(frozen=True)
class Photos:
    """The images of one class; a pipeline.datasets.Part."""

    label: str
    images: tuple[Member, ...]
    patients: Rows  # of those whose patient is known
    tables: list[Path]
    resolution = (CARD.microns_per_pixel, CARD.magnification)

    @property
    def name(self) -> str:
        return self.label.lower()

    @property
    def files(self) -> list[Path]:
        return sorted({*(image.path for image in self.images), *self.tables})

    @property
    def count(self) -> int:
        return len(self.images)

    @cached_property
    def tile_size(self) -> tuple[int, int]:
        width, height = self.images[0].picture().size
        return int(height), int(width)

    def tiles(self) -> Iterator["Tile"]:
        """The images in the order of their numbers, with the nuclei that colour shows."""
        from pipeline.nuclei.pseudo_instances import find_nuclei
        from pipeline.tiles.store import Tile  # not on top: check and download read this module too, and need no HDF5

        code = CARD.groups.index(self.label) + 1
        for member in self.images:
            name = member.name.stem
            image = read_rgb(member)
            if image.shape[:2] != self.tile_size:
                raise Problem(
                    f"{member} has {image.shape[1]} x {image.shape[0]} px, where {self.images[0]} has"
                    f" {self.tile_size[1]} x {self.tile_size[0]}; {CURE}."
                )
            instance_map = find_nuclei(image, CARD.microns_per_pixel)
            yield Tile(
                image,
                np.where(instance_map > 0, code, 0).astype(np.uint8),
                instance_map,
                dict.fromkeys(range(1, int(instance_map.max()) + 1), code),
                int(name.removeprefix(PREFIXES[self.label])),
                self.patients.get(name, ""),
                name,
                group=self.label,
            )
