"""What a person's folders hold, as far as it can be told before anything is made of it."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.errors import Problem
from pipeline.base.params import Masks
from pipeline.base.paths import expand
from pipeline.base.schema import parse
from pipeline.datasets.discovery import look
from pipeline.datasets.masks.meaning import check_values, values_of
from pipeline.datasets.masks.pairs import IMAGES, LABELS, Pair, find_pairs, name_of
from pipeline.datasets.masks.patients import patients_of
from pipeline.datasets.masks.pictures import microns_of, size_of
from pipeline.own.legend import read_legend
from pipeline.own.plan import tile_size
from pipeline.own.values import Kind, Seen, kind_of, look_at

TOLD = 20  # problems
SAME = 0.01  # part by which resolutions of images may differ


@dataclass(frozen=True)
class Asked:
    """What a person gave on the command line."""

    name: str
    images: str
    masks: str
    class_maps: str | None = None
    mask_name: str | None = None
    values: str | None = None
    classes: tuple[str, ...] = ()
    legend: str | None = None
    ignore: str | None = None
    nuclei: bool = False
    microns_per_pixel: float | None = None
    tile_size: int | None = None
    patients: str | None = None
    patient_pattern: str | None = None
    skip_unpaired: bool = False


@dataclass(frozen=True)
class Understood:
    """The pairs, what their masks mean, and how that stands in params.yaml."""

    folder: Path
    settings: Masks
    pairs: list[Pair]
    sizes: list[tuple[int, int]]  # height and width of each image
    seen: Seen
    kind: Kind
    microns_from: str
    patients: dict[str, str]
    patients_from: str


def understand(asked: Asked) -> Understood:
    """Look at all names and sizes, and at the values of up to some hundreds of masks.

    Raises:
        Problem: something is missing, wrong, or may mean two things; it names the file or the option that tells.
    """
    folder, below = common_folder(asked)
    given: dict[str, Any] = {
        "images": below["images"],
        "masks": below["masks"],
        "mask_name": asked.mask_name or mask_rule(folder / below["images"], folder / below["masks"]),
        "values": "codes",
        "class_maps": below.get("class_maps", "none"),
        "classes": {"background": 0, "foreground": 1},
        "ignore": asked.ignore or "none",
        "pieces": asked.nuclei,
        "microns_per_pixel": 1.0,
        "tile_size": 256,
        "patient_table": below.get("patients", "none"),
        "patient_pattern": asked.patient_pattern or "none",
        "unpaired": "skip" if asked.skip_unpaired else "refuse",
    }
    settings = parse(Masks, given, "the command line")
    pairs = find_pairs(folder, settings)
    patients = patients_of([pair.name for pair in pairs], folder, settings)
    legend = read_legend(expand(asked.legend)) if asked.legend else None
    coloured = legend is not None and any(str(value).startswith("#") for value in legend.values())
    seen = look_at(pairs, colours=asked.values == "colours" or (coloured and asked.values is None))
    refuse(seen.problems, len(pairs))
    ignored = set(_ignored(asked.ignore))
    kind = kind_of(seen, asked.values, legend, asked.classes, asked.class_maps is not None, ignored)
    microns, microns_from = resolution(asked.microns_per_pixel, pairs)
    sizes = measure(pairs)
    settings = settings.model_copy(
        update={
            "values": kind.values,
            "classes": dict(kind.classes),
            "microns_per_pixel": microns,
            "tile_size": asked.tile_size or tile_size(sizes),
        }
    )
    check_values(settings, "the legend")
    where = "none told"
    if asked.patients:
        where = f"the table {asked.patients}"
    elif asked.patient_pattern:
        where = f"the pattern '{asked.patient_pattern}' on the names"
    return Understood(folder, settings, pairs, sizes, seen, kind, microns_from, patients, where)


def common_folder(asked: Asked) -> tuple[Path, dict[str, str]]:
    """The folder that all that was given lies in, and where each lies in it.

    Raises:
        Problem: one of them is not there.
    """
    given = {"images": asked.images, "masks": asked.masks, "class_maps": asked.class_maps, "patients": asked.patients}
    paths = {key: expand(value).resolve() for key, value in given.items() if value}
    for key, path in paths.items():
        if key == "patients" and not path.is_file():
            raise Problem(
                f"--patients is {path}, which is no file; give a .csv or .xlsx with the columns image and patient."
            )
        if key != "patients" and not path.is_dir():
            raise Problem(f"--{key.replace('_', '-')} is {path}, which is no folder; give the one with the files.")
    folders = [path if path.is_dir() else path.parent for path in paths.values()]
    folder = Path(os.path.commonpath(folders))
    return folder, {key: path.relative_to(folder).as_posix() for key, path in paths.items()}


def mask_rule(images: Path, masks: Path) -> str:
    """What masks are called after their images, `{}` being the image's name: `{}`, `{}_mask`, `mask_{}`, ...

    The rule that most masks follow; the plain one where none does.
    """
    named_images = {name_of(file.name) for file in look(images).files if file.name.suffix.lower() in IMAGES}
    named_masks = [name_of(file.name) for file in look(masks).files if file.name.suffix.lower() in LABELS]
    if images != masks and named_images & set(named_masks):
        return "{}"
    rules: Counter[str] = Counter()
    bases = {Path(name).name for name in named_images if name}
    for mask in filter(None, named_masks):
        bare = Path(mask).name
        spans = {(i, j) for i in range(len(bare)) for j in range(i + 1, len(bare) + 1) if bare[i:j] in bases}
        if longest := max((span for span in spans if span != (0, len(bare))), key=lambda s: s[1] - s[0], default=None):
            rules[f"{bare[: longest[0]]}{{}}{bare[longest[1] :]}"] += 1
    return rules.most_common(1)[0][0] if rules else "{}"


def refuse(problems: Sequence[str], pairs: int) -> None:
    """Refuse what could not be read, all of it at once."""
    if problems:
        more = [f"and {len(problems) - TOLD:,} more"] if len(problems) > TOLD else []
        listed = "\n        ".join([*problems[:TOLD], *more])
        raise Problem(listed if len(problems) == 1 else f"{len(problems)} of {pairs} pairs fail:\n        {listed}")


def resolution(given: float | None, pairs: Sequence[Pair]) -> tuple[float, str]:
    """µm/px of the images, and whence it is known.

    Raises:
        Problem: nothing tells, or images differ.
    """
    if given is not None:
        return given, "--microns-per-pixel"
    found = {}
    for pair in pairs:
        if pair.image.name.suffix.lower() in {".tif", ".tiff"} and (tagged := microns_of(pair.image)):
            found[pair.name] = tagged
    if len(found) < len(pairs):
        raise Problem(
            f"{pairs[0].image if not found else next(p.image for p in pairs if p.name not in found)} does not tell the"
            " size of its pixels; give `--microns-per-pixel` (0.25 at 40x, 0.5 at 20x)."
        )
    low, high = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    if found[high] > found[low] * (1 + SAME):
        raise Problem(
            f"{low} has {found[low]:.4g} µm/px and {high} {found[high]:.4g}; bring all to one resolution, or, where the"
            " tags are wrong, give `--microns-per-pixel`."
        )
    return round(found[low], 6), "the tags of the images"


def measure(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    """Height and width of each image; what cannot be read, and masks of another size, are refused all at once.

    Raises:
        Problem: naming each.
    """
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(_size, pairs))
    refuse([str(size) for size in found if isinstance(size, Problem)], len(pairs))
    return [size for size in found if not isinstance(size, Problem)]


def _size(pair: Pair) -> tuple[int, int] | Problem:
    """Height and width of a pair, or what is wrong with it."""
    try:
        size = size_of(pair.image)
        mask = size if pair.mask.name.suffix.lower() == ".npy" else size_of(pair.mask)
    except Problem as problem:
        return problem
    if mask == size:
        return size
    return Problem(
        f"{pair.mask} has {mask[1]} x {mask[0]} px, its image {pair.image} {size[1]} x {size[0]}; export one of them"
        " again."
    )


def _ignored(text: str | None) -> list[int]:
    try:
        return [] if text is None else values_of(text)
    except ValueError:
        raise Problem(f"--ignore is {text!r}; give codes such as 255, or colours such as #000000.") from None
