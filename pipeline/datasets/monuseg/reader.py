"""MoNuSeg: images of seven organs with every nucleus outlined, of the 2018 challenge (docs/datasets/monuseg.md).

`Tissue Images/<name>.tif` with `Annotations/<name>.xml`, the outlines as Aperio ImageScope writes them, in a folder or
inside the official zip. Vertices are in px from the image's top left corner, so a nucleus has the pixels whose centres
(column + 0.5, row + 0.5) lie inside its outline.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

import numpy as np

from pipeline.base.errors import Problem
from pipeline.base.xml import parse_xml
from pipeline.datasets.discovery import bare_name, look
from pipeline.datasets.members import CURE, Member, list_members, read_rgb
from pipeline.datasets.monuseg.card import CARD, ORGAN_OF
from pipeline.slides.polygons import Ring, rasterise, window

if TYPE_CHECKING:
    from pipeline.tiles.store import InstanceMap, Tile

PATIENT = re.compile(r"TCGA-\w{2}-\w{4}")  # beginning of a TCGA barcode: project, institution, patient
IMAGES, ANNOTATIONS = {".tif", ".tiff"}, {".xml"}
OUTLINES = {"0", "1"}  # ImageScope's types of a region: drawn freehand, rectangle (others: ellipse, ruler, ...)
LEEWAY = 0.1  # of the image's side that an outline may reach beyond its border; real ones do by 3 px of 1000


def find(folder: Path) -> list["OutlinedImage"]:
    """The images that lie in `folder`, unpacked or zipped, by name; unpacked files go before those in a zip.

    Raises:
        Problem: there is none, an image lacks its annotation or the other way round, or one is there twice.
    """
    images: dict[str, Member] = {}
    annotations: dict[str, Member] = {}
    twice = []
    lying = look(folder)
    for member in list_members(lying, IMAGES | ANNOTATIONS):
        name = bare_name(member.name.name).upper()
        if not PATIENT.match(name):
            continue
        files = images if member.name.suffix.lower() in IMAGES else annotations
        other = files.setdefault(name, member)
        if other is not member and other.zipped == member.zipped:
            raise Problem(f"{other} and {member} are the same file of MoNuSeg; move one of them away.")
        if other is not member:
            twice.append(member)
    lying.tell([*images.values(), *annotations.values()], {"in a zip and unpacked, too": twice})
    if not images and not annotations:
        raise Problem(
            f"{folder} holds no image of MoNuSeg: neither 'Tissue Images/TCGA-A7-A13E-01Z-00-DX1.tif' with"
            " 'Annotations/TCGA-A7-A13E-01Z-00-DX1.xml' (and others) nor a zip with them; give the folder in which they"
            " lie."
        )
    for name in sorted(images.keys() ^ annotations.keys()):
        if name in images:
            raise Problem(f"{images[name]} has no annotation {name}.xml; {CURE}.")
        raise Problem(f"{annotations[name]} is an annotation without an image {name}.tif; {CURE}.")
    return [OutlinedImage(name, images[name], annotations[name]) for name in sorted(images)]


@dataclass(frozen=True)
class OutlinedImage:
    """One image, cut from one slide; a pipeline.datasets.Part."""

    name: str
    image: Member
    annotation: Member
    count = 1
    resolution = (CARD.microns_per_pixel, CARD.magnification)

    @property
    def files(self) -> list[Path]:
        return sorted({self.image.path, self.annotation.path})

    @cached_property
    def tile_size(self) -> int:
        width, height = self.image.picture().size
        if width != height:
            raise Problem(f"{self.image} has {width} x {height} px and is not square; {CURE}.")
        return int(width)

    def tiles(self) -> Iterator["Tile"]:
        """The image with its nuclei. What was left out of the annotation is printed."""
        from pipeline.tiles.store import Tile  # not on top: check and download read this module too, and need no HDF5

        image = read_rgb(self.image)
        regions = read_regions(self.annotation)
        for region in regions:
            self._check_place(region)
        instance_map, overlap = draw_nuclei(regions, self.tile_size)
        nuclei = dict.fromkeys(range(1, int(instance_map.max()) + 1), 1)
        outlines = sum(not region.negative for region in regions)
        if len(nuclei) < outlines:
            print(f"{self.annotation}: {outlines - len(nuclei)} of {outlines} outlines have no pixel of their own")
        class_map = (instance_map > 0).astype(np.uint8)
        patient, group = self.name[:12], ORGAN_OF.get(self.name, "")
        yield Tile(image, class_map, instance_map, nuclei, 0, patient, self.name, group=group, overlap=overlap)

    def _check_place(self, region: "Region") -> None:
        beyond = max(-region.ring.min(), region.ring.max() - self.tile_size)
        if beyond > LEEWAY * self.tile_size:
            raise Problem(
                f"{self.annotation}: region {region.number} reaches {beyond:.6g} px beyond its image of"
                f" {self.tile_size} px, so it was drawn on another one; {CURE}."
            )


@dataclass(frozen=True)
class Region:
    """An outline: of a nucleus, or of a place that nuclei are to be cut out of."""

    number: str  # the Id that ImageScope gave it
    ring: Ring
    negative: bool


def read_regions(annotation: Member) -> list[Region]:
    """The outlines of all layers of an ImageScope XML, in order; those that are none are left out, and that is printed.

    Raises:
        Problem: the file is no XML or not ImageScope's, or a vertex has no place.
    """
    try:
        root = parse_xml(annotation.read())
    except (ParseError, ValueError, LookupError) as error:
        raise Problem(f"{annotation} is no whole XML ({error}); {CURE}.") from None
    if root.tag != "Annotations":
        raise Problem(f"{annotation} is not of ImageScope: it holds {root.tag!r}, not 'Annotations'; {CURE}.")
    regions = []
    left_out: Counter[str] = Counter()
    for region in root.iterfind("Annotation/Regions/Region"):
        number = region.get("Id", "?")
        try:
            ring = np.array([(float(v.attrib["X"]), float(v.attrib["Y"])) for v in region.iterfind("Vertices/Vertex")])
        except (KeyError, ValueError):
            ring = np.array([np.nan])
        if not np.isfinite(ring).all():
            raise Problem(f"{annotation}: region {number} has a vertex without a place (X and Y in px); {CURE}.")
        if region.get("Type", "0") not in OUTLINES:
            left_out["that are no outline"] += 1
        elif len(ring) < 3:
            left_out["with fewer than three vertices"] += 1
        else:
            regions.append(Region(number, ring, region.get("NegativeROA") == "1"))
    left_out["that are in no layer"] = sum(1 for _ in root.iter("Region")) - len(regions) - left_out.total()
    if left_out.total() and not regions:
        said = ", ".join(f"{count} {what}" for what, count in left_out.items() if count)
        raise Problem(f"{annotation} gives no nucleus: all of its regions are left out, {said}; {CURE}.")
    for what, count in (+left_out).items():
        print(f"{annotation}: left out {count} of the regions, {what}")
    return regions


def draw_nuclei(regions: list[Region], size: int) -> tuple["InstanceMap", int]:
    """The nuclei inside the outlines, and the number of pixels that several of them claim.

    A pixel of several nuclei belongs to the last of them; one inside a negative region belongs to none.

    Returns:
        Instance map (size, size) int32, numbered 1 to n in the order of the regions. A nucleus without a pixel, since
        it is tiny or covered, is gone.
    """
    drawn = np.zeros((size, size), np.int32)
    claims = np.zeros((size, size), np.int32)
    for number, region in enumerate(sorted(regions, key=lambda region: region.negative), start=1):
        rows, columns = window([region.ring], size, size)
        inside = rasterise([region.ring], rows, columns)
        drawn[rows, columns][inside] = 0 if region.negative else number
        claims[rows, columns][inside] = 0 if region.negative else claims[rows, columns][inside] + 1
    known = np.unique(drawn[drawn > 0])
    instance_map: InstanceMap = np.where(drawn > 0, np.searchsorted(known, drawn) + 1, 0).astype(np.int32)
    return instance_map, int((claims > 1).sum())
