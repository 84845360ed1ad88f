"""TNBC: 50 images of triple-negative breast cancer from 11 patients, every nucleus outlined (docs/datasets/tnbc.md).

`Slide_NN/NN_k.png` is image k of patient NN, `GT_NN/NN_k.png` its mask, in a folder or inside the official zip. A mask
is binary, and then nuclei are its connected pieces, or it holds values that keep nuclei apart.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.errors import Problem
from pipeline.datasets.discovery import bare_name, look, nfc
from pipeline.datasets.labels import number_nuclei, read_labels
from pipeline.datasets.members import CURE, Member, list_members, read_rgb
from pipeline.datasets.tnbc.card import CARD, PATIENTS

if TYPE_CHECKING:
    from pipeline.tiles.store import InstanceMap, Tile

PLACE = re.compile(r"(Slide|GT)_(\d+)", re.IGNORECASE)
NAME = re.compile(r"(\d+)_(\d+)")
Pairs = dict[str, dict[int, Member]]  # "slide" or "gt" -> number of the image -> its file


def find(folder: Path) -> list["Patient"]:
    """The patients that lie in `folder`, unpacked or zipped, in order; unpacked files go before those in a zip.

    Raises:
        Problem: there is none, a folder is empty, an image lacks its mask or a mask its image, or one is there twice.
    """
    lying = look(folder)
    members = list_members(lying, {".png"})
    filled = {member.path.parent for member in members}
    for place in lying.folders:
        if PLACE.fullmatch(nfc(place.name)) and place not in filled:
            raise Problem(f"{place} holds no PNG; {CURE}.")
    found: dict[int, Pairs] = {}
    twice = [member for member in members if not _sort_in(member, found)]
    others = sorted(set(found) - set(PATIENTS))
    if others:
        print(f"{folder}: {len(others)} patients that are not TNBC's are left out ({', '.join(map(str, others))})")
    used = [member for number in PATIENTS for member in _all(found.get(number))]
    foreign = [member for number in others for member in _all(found[number])]
    lying.tell(used, {"of other patients": foreign, "in a zip and unpacked, too": twice})
    patients = [_patient(number, found[number]) for number in sorted(found) if number in PATIENTS]
    if not patients:
        raise Problem(
            f"{folder} holds no image of TNBC: neither Slide_01/01_1.png with GT_01/01_1.png (02, ...) nor a zip with"
            " them; give the folder in which they lie."
        )
    return patients


def _all(files: Pairs | None) -> list[Member]:
    """The images and masks of a patient."""
    return [member for members in files.values() for member in members.values()] if files else []


def _sort_in(member: Member, found: dict[int, Pairs]) -> bool:
    """Put a file where its folder and its name say; False for one in a zip that is there unpacked, too.

    Files that are neither image nor mask are passed over.
    """
    place, name = PLACE.fullmatch(member.name.parent.name), NAME.fullmatch(bare_name(member.name.name))
    if not place or not name:
        return True
    if int(place[2]) != int(name[1]):
        raise Problem(f"{member} is named after patient {int(name[1])} and lies among those of {place[0]}; {CURE}.")
    files = found.setdefault(int(place[2]), {"slide": {}, "gt": {}})[place[1].lower()]
    other = files.setdefault(int(name[2]), member)
    if other is not member and other.zipped == member.zipped:
        raise Problem(f"{other} and {member} are the same file of TNBC; move one of them away.")
    return other is member


def _patient(number: int, files: Pairs) -> "Patient":
    """A patient whose images all have a mask, and the other way round."""
    images, masks = files["slide"], files["gt"]
    for index in sorted(images.keys() ^ masks.keys()):
        if index in images:
            raise Problem(f"{images[index]} has no mask in GT_{number:02}; {CURE}.")
        raise Problem(f"{masks[index]} is a mask without an image in Slide_{number:02}; {CURE}.")
    return Patient(f"{number:02}", tuple((index, images[index], masks[index]) for index in sorted(images)))


@dataclass(frozen=True)
class Patient:
    """The images of one patient; a pipeline.datasets.Part."""

    patient: str  # "01"
    pairs: tuple[tuple[int, Member, Member], ...]  # number of the image, image, mask
    resolution = (CARD.microns_per_pixel, CARD.magnification)

    @property
    def name(self) -> str:
        return f"patient{self.patient}"

    @property
    def files(self) -> list[Path]:
        return sorted({member.path for _, image, mask in self.pairs for member in (image, mask)})

    @property
    def count(self) -> int:
        return len(self.pairs)

    @cached_property
    def tile_size(self) -> int:
        _, first, _ = self.pairs[0]
        width, height = first.picture().size
        if width != height:
            raise Problem(f"{first} has {width} x {height} px and is not square; {CURE}.")
        return int(width)

    def tiles(self) -> Iterator["Tile"]:
        """The images in the order of their numbers, each with its nuclei."""
        from pipeline.tiles.store import Tile  # not on top: check and download read this module too, and need no HDF5

        for number, image_file, mask_file in self.pairs:
            image, instance_map = read_rgb(image_file), read_instances(mask_file)
            for file, shape in ((image_file, image.shape), (mask_file, instance_map.shape)):
                if shape[:2] != (self.tile_size, self.tile_size):
                    raise Problem(
                        f"{file} has {shape[1]} x {shape[0]} px, where {self.pairs[0][1]} has {self.tile_size} x"
                        f" {self.tile_size}; {CURE}."
                    )
            class_map = (instance_map > 0).astype(np.uint8)
            nuclei = dict.fromkeys(range(1, int(instance_map.max()) + 1), 1)
            yield Tile(image, class_map, instance_map, nuclei, number, self.patient, self.patient, group=CARD.groups[0])


def read_instances(mask: Member) -> "InstanceMap":
    """The nuclei of a mask, numbered from 1; 0 or black is background (pipeline/datasets/labels.py).

    Pixels that touch, corners included, are one nucleus of a binary mask. (So counted the 50 masks hold 4,028 nuclei,
    of the 4,022 that are published; by touching sides alone it would be 4,056.)

    Raises:
        Problem: it is no picture, its numbers are not told by it alone, or they stand for no nuclei.
    """
    return number_nuclei(read_labels(mask), mask)
