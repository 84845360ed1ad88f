"""Images of one's own and their instances in COCO's file, cut into tiles, as params.yaml describes it."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pipeline.base.errors import Problem
from pipeline.base.params import Coco, names_in
from pipeline.datasets.coco.instances import Instance, Instances, Listed, mask_of, read_instances
from pipeline.datasets.discovery import look, nfc
from pipeline.datasets.masks.pairs import IMAGES, name_of
from pipeline.datasets.masks.reader import Part, in_parts
from pipeline.datasets.members import Member

if TYPE_CHECKING:
    from pipeline.datasets.masks.meaning import Annotated


@dataclass(frozen=True)
class Entry:
    """An image that the file lists, and where it lies."""

    name: str  # in its folder, without its ending
    image: Member
    listed: Listed
    file: Path

    @property
    def files(self) -> list[Path]:
        return [self.image.path, self.file]


@dataclass(frozen=True)
class OwnCoco:
    """A pipeline.datasets.Reader of COCO's instances."""

    settings: Coco

    def find(self, folder: Path) -> list[Part[Entry]]:
        """The images of a folder that the file lists, some dozens a part, in its order."""
        instances = read_instances(folder / self.settings.instances)
        return self.parts(folder, entries(folder, instances, self.settings))

    def parts(self, folder: Path, found: list[Entry]) -> list[Part[Entry]]:
        """Images as parts."""
        return in_parts(found, folder, self.settings, partial(read_entry, self.settings))


def reader(settings: Coco) -> OwnCoco:
    """The reader of a data set of this kind."""
    return OwnCoco(settings)


def entries(folder: Path, instances: Instances, settings: Coco) -> list[Entry]:
    """The images that the file lists and that are there; what was found, used and left out is printed.

    Raises:
        Problem: one is missing (unless these are skipped), or there twice, or none is there.
    """
    survey = look(folder / settings.images)
    lying: dict[str, list[Member]] = {}
    for file in survey.files:
        if file.name.suffix.lower() in IMAGES:
            member = Member(file.path, file.name)
            for key in {file.name.as_posix(), file.name.name}:
                lying.setdefault(key, []).append(member)
    found: list[Entry] = []
    missing: list[str] = []
    for image in instances.images:
        path = PurePosixPath(nfc(image.file_name.replace("\\", "/")))
        fitting = lying.get(path.as_posix()) or lying.get(path.name, [])
        if len(fitting) > 1:
            raise Problem(f"{fitting[0]} and {fitting[1]} are both {image.file_name}; move one of them away.")
        if fitting:
            found.append(Entry(name_of(fitting[0].name) or path.stem, fitting[0], image, instances.path))
        else:
            missing.append(image.file_name)
    used = {entry.image.path for entry in found}
    survey.tell(
        [file for file in survey.files if file.path in used or file.path == instances.path],
        {"images that the file does not list": [m for each in lying.values() for m in each if m.path not in used]},
    )
    if (twice := Counter(entry.name for entry in found).most_common(1)) and twice[0][1] > 1:
        raise Problem(f"{instances.path} lists {twice[0][0]} twice, or with two endings; correct it.")
    if missing and (settings.unpaired == "refuse" or not found):
        more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        raise Problem(
            f"{instances.path} lists {missing[0]}{more}, which is not in {survey.folder}; add it, or leave such entries"
            " out with `--skip-unpaired` (unpaired: skip)."
        )
    if missing:
        print(f"{instances.path}: {len(missing):,} images that it lists are not there, such as {missing[0]}")
    if not found:
        raise Problem(f"{instances.path} lists no image; {settings.images} stays unused. Give a file with images.")
    return found


def codes_of(settings: Coco) -> dict[str, int]:
    """Class codes by the names of categories, in lower case."""
    return {each: code for code, text in enumerate(settings.classes.values()) for each in names_in(text)}


def read_entry(settings: Coco, entry: Entry) -> "Annotated":
    """Image and annotation: a pixel of several instances is of the last one; in a crowd it counts nowhere.

    Raises:
        Problem: the image cannot be read, has another size than the file says, or an instance has no area.
    """
    import numpy as np

    from pipeline.datasets.masks.meaning import NOWHERE, Annotated
    from pipeline.datasets.masks.pictures import read_image

    image = read_image(entry.image)
    height, width = image.shape[:2]
    if (height, width) != (entry.listed.height, entry.listed.width):
        raise Problem(
            f"{entry.image} has {width} x {height} px, and {entry.file} says {entry.listed.width} x"
            f" {entry.listed.height}; give the image that was annotated."
        )
    codes = codes_of(settings)
    class_map, claims = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint16)
    instance_map = np.zeros((height, width), np.int32)
    nuclei: dict[int, int] = {}
    in_order: list[Instance] = sorted(entry.listed.instances, key=lambda instance: not instance.crowd)
    for number, instance in enumerate(in_order, start=1):
        code = codes.get(instance.category.lower())
        if not code:
            continue
        rows, columns, inside = mask_of(instance, height, width, entry.file)
        if instance.crowd:
            class_map[rows, columns][inside] = NOWHERE
            continue
        class_map[rows, columns][inside], instance_map[rows, columns][inside] = code, number
        claims[rows, columns] += inside
        nuclei[number] = code
    left = {int(number) for number in np.unique(instance_map)}
    if gone := len(nuclei.keys() - left):
        print(f"{entry.file}: {gone:,} of {len(nuclei):,} instances of {entry.name} have no pixel of their own")
    return Annotated(image, class_map, instance_map, {n: c for n, c in nuclei.items() if n in left}, claims > 1)
