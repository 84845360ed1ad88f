"""BACH, part A: photographs of breast tissue, each normal, benign, in situ or invasive (docs/datasets/bach.md).

`Photos/<Class>/*.tif` with `Photos/microscopy_ground_truth.csv`, in a folder or inside the official zip. There are no
instance masks in it: the nuclei in the tile store are pseudo-instances, found by colour, each of its image's class.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.errors import Problem
from pipeline.datasets.bach.card import CARD
from pipeline.datasets.discovery import bare_name, look
from pipeline.datasets.members import CURE, Member, list_members, read_rgb
from pipeline.datasets.tables import SUFFIXES as TABLES
from pipeline.datasets.tables import Line, patient_column, read_lines

if TYPE_CHECKING:
    from pipeline.tiles.store import Tile

PREFIXES = {"Normal": "n", "Benign": "b", "InSitu": "is", "Invasive": "iv"}  # folder -> beginning of its files' names
NAME = re.compile(r"(n|b|is|iv)(\d+)")
TEST_NAME = re.compile(r"test\d+")
LABELS = {label.lower(): label for label in PREFIXES}
TRUTH = "microscopy_ground_truth.csv"
TWICE = "in a zip and unpacked, too"
Rows = dict[str, str]  # name of an image without .tif -> what a table says of it


def find(folder: Path) -> list["Photos"]:
    """The four classes of images in `folder`, unpacked or zipped; unpacked files go before those in a zip.

    Raises:
        Problem: a class has no image, a file is there twice or in another class's folder, or the ground truth says
            otherwise than the folders.
    """
    images: dict[str, dict[str, Member]] = {label: {} for label in PREFIXES}
    passed: dict[str, list[Member]] = {"test images, which have no label": [], TWICE: []}
    lying = look(folder)
    for member in list_members(lying, {".tif", ".tiff"}):
        label, name = LABELS.get(member.name.parent.name.lower()), bare_name(member.name.name).lower()
        if TEST_NAME.fullmatch(name):
            passed["test images, which have no label"].append(member)
        if label is None:
            continue
        named = NAME.fullmatch(name)
        if not named or named[1] != PREFIXES[label]:
            raise Problem(f"{member} lies in {label}, whose images are named {PREFIXES[label]}001.tif, ...; {CURE}.")
        other = images[label].setdefault(name, member)
        if other is not member and other.zipped == member.zipped:
            raise Problem(f"{other} and {member} are the same file of BACH; move one of them away.")
        if other is not member:
            passed[TWICE].append(member)
    tables = list_members(lying, TABLES)
    truth, passed_truth = _truth(tables)
    listed = [table for table in tables if "patient" in table.name.stem.lower()]
    passed[TWICE] += passed_truth
    used = [member for files in images.values() for member in files.values()]
    lying.tell([*used, *([truth] if truth else []), *listed], passed)
    for label, prefix in PREFIXES.items():
        if not images[label]:
            raise Problem(
                f"{folder} holds no image of BACH's class {label}: neither Photos/{label}/{prefix}001.tif nor a zip"
                " with it; give the folder in which Photos lies."
            )
    if truth:
        _check_labels(truth, images)
    else:
        print(f"{folder} has no {TRUTH}; the folders' names are the labels")
    patients = read_patients(listed)
    extras = [table.path for table in ([truth] if truth else []) + listed]
    parts = []
    for label, files in images.items():
        members = [files[name] for name in sorted(files)]
        known = {name: patients[name] for name in files if name in patients}
        parts.append(Photos(label, tuple(members), known, extras))
    return parts


def _truth(tables: list[Member]) -> tuple[Member | None, list[Member]]:
    """The table of labels, and the same in a zip that is there unpacked, too.

    Raises:
        Problem: there are several.
    """
    found = [table for table in tables if table.name.name.lower() == TRUTH]  # the unpacked ones first
    for other in found[1:]:
        if other.zipped == found[0].zipped:
            raise Problem(f"{found[0]} and {other} are both the ground truth of BACH; move one of them away.")
    return (found[0] if found else None), found[1:]


def read_rows(table: Member) -> Rows:
    """A table of two columns, file and value, with or without a header, by name of the image without .tif.

    With more columns the value is that of the patient's, as the header titles it.

    Raises:
        Problem: a line below the header names no image of BACH, has no value, or contradicts another one; or there are
            more columns and no header that says which of them is the patient's.
    """
    sheets = read_lines(table, table.read(), _is_row)
    rows: Rows = {}
    column: int | None = None
    for number, line in [each for lines in sheets for each in enumerate(lines, start=1)]:
        name = _image(line)
        if not any(line):
            continue
        if not rows and not NAME.fullmatch(name):  # titles and the header
            column = patient_column(table, line)
            continue
        if column is None and any(line[2:]):
            raise Problem(
                f"{table} has several columns and no header that names the patient's; call it 'Patient Id', or keep two"
                " columns."
            )
        value = dict(enumerate(line)).get(1 if column is None else column, "")
        if not NAME.fullmatch(name) or not value:
            raise Problem(f"{table}: line {number} is {','.join(line)!r}, not an image of BACH and a value; {CURE}.")
        if rows.setdefault(name, value) != value:
            raise Problem(f"{table}: line {number} says of {name} {value}, an earlier one {rows[name]}; {CURE}.")
    if not rows:
        raise Problem(f"{table} names no image of BACH and no value; write n001.tif and 12 in a line, or move it away.")
    return rows


def read_patients(tables: Sequence[Member]) -> Rows:
    """What all tables of patients say.

    Raises:
        Problem: two contradict each other, or one is wrong (see `read_rows`).
    """
    said: dict[str, tuple[str, Member]] = {}
    for table in tables:
        for name, patient in read_rows(table).items():
            other, first = said.setdefault(name, (patient, table))
            if other != patient:
                raise Problem(f"{first} and {table} give {name} two patients, {other} and {patient}; {CURE}.")
    return {name: patient for name, (patient, _) in said.items()}


def _image(line: Line) -> str:
    return bare_name(line[0].lower()) if line else ""


def _is_row(line: Line) -> bool:
    """Whether a line names an image and something beside it."""
    return NAME.fullmatch(_image(line)) is not None and len(line) > 1


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
            name = bare_name(member.name.name).lower()
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
