"""BCSS: regions of 151 slides of triple-negative breast cancer, every pixel one of 21 tissues (docs/datasets/bcss.md).

`rgbs_colorNormalized/<region>.png` with `masks/<region>.png`, in a folder or inside zips. A mask holds a code for each
pixel, 0 outside the region, which is "don't care" and no tissue. Regions have up to 9,000 px a side and are cut to
tiles; a region is decoded once and is the most that lies in memory.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.errors import Problem
from pipeline.datasets.bcss.card import CARD
from pipeline.datasets.discovery import bare_name, look
from pipeline.datasets.labels import read_labels
from pipeline.datasets.members import CURE, Member, list_members, read_rgb

if TYPE_CHECKING:
    from pipeline.tiles.store import ClassMap, Tile

TILE = 224  # px a side
OUTSIDE = 0  # its code in the masks
WHITE = 255
IMAGES = ("rgbs_colorNormalized", "rgbs", "images")  # folders of images, the first found goes
MASKS = "masks"
KINDS = tuple(name.lower() for name in (*IMAGES, MASKS))
BARCODE = re.compile(r"(TCGA-(\w{2})-\w{4})\b(?:-\w{3}-\w{2})?(-DX\d+)?")  # patient, institution, slide of the patient
FINEST, COARSEST = 0.1, 2.0  # µm of a pixel: beyond it no microscope photographs tissue, and a name is wrong
MPP = re.compile(r"MPP-(\d+(?:\.\d+)?)")


def find(folder: Path) -> list["Region"]:
    """The regions that lie in `folder`, unpacked or zipped, by name; unpacked files go before those in a zip.

    Raises:
        Problem: there is none, an image lacks its mask or the other way round, one is there twice, or a name tells no
            patient.
    """
    images: dict[str, Member] = {}
    masks: dict[str, Member] = {}
    passed: dict[str, list[Member]] = {"in a zip and unpacked, too": [], "of regions with a better image": []}
    lying = look(folder)
    members = [member for member in list_members(lying, {".png"}) if _kind(member) in KINDS]
    for member in sorted(members, key=lambda member: KINDS.index(_kind(member))):
        files = masks if _kind(member) == KINDS[-1] else images
        other = files.setdefault(bare_name(member.name.name), member)
        same_folder = _kind(other) == _kind(member)
        if other is not member and other.zipped == member.zipped and same_folder:
            raise Problem(f"{other} and {member} are the same file of BCSS; move one of them away.")
        if other is not member:
            passed["in a zip and unpacked, too" if same_folder else "of regions with a better image"].append(member)
    lying.tell([*images.values(), *masks.values()], passed)
    if not images and not masks:
        raise Problem(
            f"{folder} holds no region of BCSS: neither rgbs_colorNormalized/TCGA-....png with masks/TCGA-....png nor a"
            " zip with them; give the folder in which they lie."
        )
    for name in sorted(images.keys() ^ masks.keys()):
        if name in images:
            raise Problem(f"{images[name]} has no mask {MASKS}/{name}.png; {CURE}.")
        raise Problem(f"{masks[name]} is a mask without an image {IMAGES[0]}/{name}.png; {CURE}.")
    return [_region(name, images[name], masks[name]) for name in sorted(images)]


def _kind(member: Member) -> str:
    """The folder that it lies in, in lower case."""
    return member.name.parent.name.lower()


def _region(name: str, image: Member, mask: Member) -> "Region":
    """A region whose name tells patient and institution."""
    barcode, size = BARCODE.match(name), MPP.search(name)
    if not barcode or barcode[2] not in CARD.groups:
        raise Problem(
            f"{image} does not begin with the barcode of a patient of BCSS, such as TCGA-A1-A0SK, without which nobody"
            f" can keep patients apart; {CURE}."
        )
    pixel = float(size[1]) if size else CARD.microns_per_pixel
    if not FINEST <= pixel <= COARSEST:
        raise Problem(
            f"{image} has a name that gives a pixel {pixel:g} µm, outside {FINEST:g} to {COARSEST:g}; correct the names"
            " of image and mask if it is off by ten, or leave them out."
        )
    resolution = (pixel, CARD.magnification * CARD.microns_per_pixel / pixel)
    return Region(name, image, mask, barcode[1], barcode[1] + (barcode[3] or ""), barcode[2], resolution)


@dataclass(frozen=True)
class Region:
    """A rectangle of one slide; a pipeline.datasets.Part."""

    name: str
    image: Member
    mask: Member
    patient: str  # TCGA-A1-A0SK
    slide: str  # TCGA-A1-A0SK-DX1
    institution: str  # A1
    resolution: tuple[float, float]
    tile_size = TILE

    @property
    def files(self) -> list[Path]:
        return sorted({self.image.path, self.mask.path})

    @property
    def count(self) -> int:
        return len(self._corners)

    @cached_property
    def _corners(self) -> list[tuple[int, int]]:
        """Row and column in px of the tiles that are not wholly outside, line by line from the top left corner."""
        class_map = self._class_map()
        rows, columns = (range(0, side, TILE) for side in class_map.shape)
        corners = [(row, column) for row in rows for column in columns if _inside(class_map, row, column)]
        if not corners:
            raise Problem(f"{self.mask} has the code {OUTSIDE} everywhere, so no pixel is in the region; {CURE}.")
        return corners

    def tiles(self) -> Iterator["Tile"]:
        """The tiles with a pixel inside the region; those at the right and lower border are filled up and ignored."""
        from pipeline.tiles.store import Tile  # not on top: check and download read this module too, and need no HDF5

        image, class_map = read_rgb(self.image), self._class_map()
        if image.shape[:2] != class_map.shape:
            raise Problem(
                f"{self.mask} has {class_map.shape[1]} x {class_map.shape[0]} px, its image {image.shape[1]} x"
                f" {image.shape[0]}; {CURE}."
            )
        no_nuclei = np.zeros((TILE, TILE), np.int32)
        for index, (row, column) in enumerate(self._corners):
            pixels, codes = image[row:, column:][:TILE, :TILE], class_map[row:, column:][:TILE, :TILE]
            beyond = ((0, TILE - codes.shape[0]), (0, TILE - codes.shape[1]))
            yield Tile(
                np.pad(pixels, (*beyond, (0, 0)), constant_values=WHITE),
                np.pad(codes, beyond, constant_values=255),
                no_nuclei,
                {},
                index,
                self.patient,
                self.slide,
                column,
                row,
                group=self.institution,
            )

    def _class_map(self) -> "ClassMap":
        """The mask as class codes, (H, W): code - 1, and 255 outside the region.

        Raises:
            Problem: it is no picture of codes, or holds one that BCSS does not have.
        """
        codes = read_labels(self.mask)
        if codes.max() > len(CARD.classes):
            raise Problem(
                f"{self.mask} holds the value {codes.max()}, where BCSS has codes 0 to {len(CARD.classes)}"
                f" (another release holds tumour masks of 0 and 255, a picture in colours no codes at all); {CURE}."
            )
        class_map: ClassMap = codes.astype(np.uint8) - np.uint8(1)  # 0 - 1 is 255 in uint8
        return class_map


def _inside(class_map: "ClassMap", row: int, column: int) -> bool:
    """Whether a tile has a pixel of tissue."""
    return bool((class_map[row : row + TILE, column : column + TILE] != 255).any())
