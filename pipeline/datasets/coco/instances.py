"""A JSON file of instances as COCO has them: its images, categories and annotations.

An instance is polygons (`[[x, y, x, y, ...], ...]`, several of which are one instance), or runs of pixels down the
columns, from the top left: `{"size": [height, width], "counts": [...]}`, or with the counts as COCO's text.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.base.errors import Problem, machine_problem

CURE = "export it again, or correct it"
Mask = npt.NDArray[np.bool_]  # (H, W)
KEYS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class Instance:
    """One annotation."""

    number: object  # its id
    category: str
    segmentation: Any
    crowd: bool  # many that nobody told apart


@dataclass(frozen=True)
class Listed:
    """An image of the file."""

    file_name: str
    height: int
    width: int
    instances: list[Instance] = field(default_factory=list)


@dataclass(frozen=True)
class Instances:
    """What a file holds."""

    path: Path
    images: list[Listed]
    categories: list[str]

    def counted(self) -> Counter[str]:
        """How many instances each category has."""
        return Counter(dict.fromkeys(self.categories, 0)) + Counter(
            instance.category for image in self.images for instance in image.instances
        )


def read_instances(path: Path) -> Instances:
    """The images of a file with their instances, in its order.

    Raises:
        Problem: it cannot be read, is not COCO's, or an annotation is of an image or category that it does not list.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        said = f"{path} cannot be read ({error.strerror}); mend that and run again."
        raise (machine_problem(path, error) or Problem(said)) from None
    except (ValueError, RecursionError) as error:
        raise Problem(f"{path} is no whole JSON ({error}); {CURE}.") from None
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in KEYS):
        raise Problem(f"{path} is no file of COCO's instances, which has {', '.join(KEYS)}; {CURE}.")
    try:
        return _parsed(path, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Problem(f"{path} lacks something of COCO's instances ({error!r}); {CURE}.") from None


def _parsed(path: Path, content: dict[str, Any]) -> Instances:
    categories = {each["id"]: str(each["name"]) for each in content["categories"]}
    images: dict[Any, Listed] = {}
    for each in content["images"]:
        image = Listed(str(each["file_name"]), int(each["height"]), int(each["width"]))
        if (other := images.setdefault(each["id"], image)) is not image:
            raise Problem(f"{path} gives {other.file_name} and {image.file_name} one id, {each['id']}; {CURE}.")
    for each in content["annotations"]:
        number, of, category = each.get("id", "?"), each["image_id"], each["category_id"]
        if of not in images or category not in categories:
            what = f"the image {of}" if of not in images else f"the category {category}"
            raise Problem(f"{path}: annotation {number} is of {what}, which the file does not list; {CURE}.")
        crowd = bool(each.get("iscrowd", 0))
        images[of].instances.append(Instance(number, categories[category], each.get("segmentation"), crowd))
    return Instances(path, list(images.values()), list(dict.fromkeys(categories.values())))


def mask_of(instance: Instance, height: int, width: int, where: object) -> tuple[slice, slice, Mask]:
    """The pixels of an instance: rows and columns of the image, and which of these are of it.

    A pixel is of a polygon that holds its centre (pipeline/slides/polygons.py).

    Raises:
        Problem: it has no area that can be read, or one of another image's size.
    """
    from pipeline.slides.polygons import rasterise, window

    found = instance.segmentation
    try:
        if isinstance(found, dict):
            if list(found["size"]) != [height, width]:
                raise ValueError(f"its size is {found['size']}, the image's [{height}, {width}]")
            return slice(0, height), slice(0, width), decode(found["counts"], height, width)
        rings = [np.array(each, np.float64).reshape(-1, 2) for each in found]
        rings = [ring for ring in rings if len(ring) > 2]
        if not rings or not all(np.isfinite(ring).all() for ring in rings):
            raise ValueError("it has no polygon of three corners or more" if not rings else "a corner is no number")
        rows, columns = window(rings, height, width)
        mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.bool_)
        for ring in rings:
            mask |= rasterise([ring], rows, columns)
        return rows, columns, mask
    except (ValueError, TypeError, KeyError, OverflowError, IndexError) as error:
        raise Problem(
            f"{where}: the segmentation of annotation {instance.number} cannot be read ({error}); {CURE}."
        ) from None


def decode(counts: Any, height: int, width: int) -> Mask:
    """A mask from its runs of pixels, of which the first is outside.

    Raises:
        ValueError: they are not of so many pixels.
    """
    runs = np.array(runs_of(counts) if isinstance(counts, str) else counts, np.int64)
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"its runs have {runs.sum():,} px, the image {height * width:,}")
    mask: Mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T
    return mask


def runs_of(text: str) -> list[int]:
    """Runs from COCO's text: five bits a character, the lowest first, each from the third on as a difference.

    Raises:
        ValueError: a character is none of it, or the last one says that another follows.
    """
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{letter!r} stands in its runs")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits & 16 and 1) << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("its runs end in the middle")
    return runs
