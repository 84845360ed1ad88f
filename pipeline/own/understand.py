"""What folders of images and masks hold, as far as it can be told before anything is made of it."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.base.errors import Problem
from pipeline.base.params import Masks
from pipeline.base.paths import expand
from pipeline.base.schema import parse
from pipeline.datasets.discovery import look
from pipeline.datasets.masks.class_table import WHOLE, code_of, with_rows
from pipeline.datasets.masks.meaning import Meaning, check_values, values_of
from pipeline.datasets.masks.pairs import IMAGES, LABELS, Pair, find_pairs, name_of, rule_of
from pipeline.datasets.masks.patients import patients_of
from pipeline.datasets.masks.pictures import microns_of, size_of
from pipeline.datasets.masks.reader import Cut
from pipeline.own.asked import Asked, common_folder, patients_from
from pipeline.own.found import Found, refuse
from pipeline.own.legend import read_legend, suggestion
from pipeline.own.plan import count_tiles, tile_size
from pipeline.own.sheet import look_at_some
from pipeline.own.values import Kind, Seen, kind_of, look_at

SAME = 0.01  # part by which resolutions of images may differ


def understand(asked: Asked) -> Found:
    """Look at all names and sizes, and at the values of up to some hundreds of masks.

    Raises:
        Problem: something is missing, wrong, or may mean two things; it names the file or the option that tells.
    """
    folder, below = common_folder(
        images=asked.images,
        masks=asked.masks,
        class_maps=asked.class_maps,
        class_table=asked.class_table,
        patients=asked.patients,
    )
    given: dict[str, Any] = {
        "images": below["images"],
        "masks": below["masks"],
        "mask_name": asked.mask_name or mask_rule(folder / below["images"], folder / below["masks"]),
        "values": "codes",
        "class_maps": below.get("class_maps", "none"),
        "class_table": below.get("class_table", "none"),
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
    pairs = with_rows(find_pairs(folder, settings), folder, settings)
    patients = patients_of([pair.name for pair in pairs], folder, settings)
    legend = read_legend(expand(asked.legend)) if asked.legend else None
    coloured = legend is not None and any(str(value).startswith("#") for value in legend.values())
    seen = look_at(pairs, colours=asked.values == "colours" or (coloured and asked.values is None))
    sizes = measure(pairs, seen.problems)
    ignored = set(_ignored(asked.ignore))
    beside = "map" if asked.class_maps else "table" if asked.class_table else ""
    values = asked.values or ("instances" if asked.class_table else None)
    kind = kind_of(seen, values, legend, asked.classes or names_in_table(pairs), beside, ignored)
    microns, microns_from = resolution(asked.microns_per_pixel, pairs)
    settings = settings.model_copy(
        update={
            "values": kind.values,
            "classes": dict(kind.classes),
            "microns_per_pixel": microns,
            "tile_size": asked.tile_size or tile_size(sizes),
        }
    )
    check_values(settings, "the legend")
    tiles = [count_tiles([size], settings.tile_size) for size in sizes]
    return Found(
        kind="masks",
        words=f"masks with {kind.words}",
        source=folder,
        settings=settings,
        classes=list(settings.classes),
        nuclei=settings.nuclei,
        tile_size=settings.tile_size,
        microns_per_pixel=microns,
        names=[pair.name for pair in pairs],
        tiles=tiles,
        patients=patients,
        patients_from=patients_from(asked),
        lines=_lines(settings, pairs, kind, seen, sizes, microns_from),
        pictures=partial(look_at_some, pairs, Meaning(settings).read),
        largest=max(height * width for height, width in sizes),
    )


def _lines(
    settings: Masks, pairs: Sequence[Pair], kind: Kind, seen: Seen, sizes: Sequence[tuple[int, int]], microns_from: str
) -> list[str]:
    """What was understood, a line each."""
    forms = ", ".join(f"{count:,} {form}" for form, count in seen.forms.most_common())
    return [
        f"pairs: {len(pairs):,}; the mask of image {{}} is {settings.mask_name}",
        f"masks: {kind.words} ({forms}; values of {seen.masks:,} read)",
        *_classes(settings, seen, pairs),
        line_of_sizes(sizes),
        f"resolution: {settings.microns_per_pixel:g} µm/px, from {microns_from}",
    ]


def line_of_sizes(sizes: Sequence[tuple[int, int]]) -> str:
    """How wide and high images (height, width) are."""
    heights, widths = zip(*sizes, strict=True)
    return f"sizes: {min(widths):,} to {max(widths):,} px wide, {min(heights):,} to {max(heights):,} px high"


def names_in_table(pairs: Sequence[Pair]) -> list[str]:
    """The background, and the classes that a table beside numbered nuclei names; none where these are codes."""
    texts = sorted({text for pair in pairs for text in pair.rows.values()}, key=str.lower)
    if not texts or all(WHOLE.fullmatch(text) for text in texts):
        return []
    return ["background", *dict.fromkeys(suggestion(text) for text in texts)]


def _classes(settings: Masks, seen: Seen, pairs: Sequence[Pair]) -> list[str]:
    """Each class with its value, its share of the pixels that were read, and in what it is counted."""
    pixels = seen.pixels
    whole = max(1, sum(pixels.values()))
    if settings.values == "instances":
        where = settings.class_maps or settings.class_table
        beside = f", classes from {where}" if where else ""
        share = 1 - pixels.get(0, 0) / whole
        rows = Counter(code_of(text, settings.classes) for pair in pairs for text in pair.rows.values())
        counted = [f"class {code}: {name}, {rows[code]:,} rows" for code, name in enumerate(settings.classes) if code]
        named = f"classes: {', '.join(settings.classes)}{beside}; nuclei cover {share:.1%}"
        return [named, *(counted if settings.class_table else [])]
    found = [
        f"class {code}: {name} (value {text}), {sum(pixels.get(value, 0) for value in values_of(text)) / whole:.1%}"
        for code, (name, text) in enumerate(settings.classes.items())
    ]
    return [*found, *([f"counted nowhere: {settings.ignore}"] if settings.ignore is not None else [])]


def mask_rule(images: Path, masks: Path) -> str:
    """What masks are called after their images, `{}` being the image's name: `{}`, `{}_mask`, `mask_{}`, ...

    The rule that most masks follow; the plain one where none does.
    """
    named_images = {name_of(file.name) for file in look(images).files if file.name.suffix.lower() in IMAGES}
    named_masks = [name_of(file.name) for file in look(masks).files if file.name.suffix.lower() in LABELS]
    bases = {Path(name).name for name in named_images if name}
    if images != masks and bases & {Path(name).name for name in named_masks if name}:
        return "{}"
    return rule_of(bases, [Path(mask).name for mask in named_masks if mask])


def resolution(given: float | None, pairs: Sequence[Cut]) -> tuple[float, str]:
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


def measure(pairs: Sequence[Pair], problems: dict[str, str]) -> list[tuple[int, int]]:
    """Height and width of each image; what cannot be read, and masks of another size, are refused all at once.

    Args:
        problems: that were found before, by name of the pair.

    Raises:
        Problem: naming each.
    """
    with ThreadPoolExecutor() as pool:
        found = dict(zip([pair.name for pair in pairs], pool.map(_size, pairs), strict=True))
    wrong = {name: str(size) for name, size in found.items() if isinstance(size, Problem)} | problems
    refuse([wrong[name] for name in found if name in wrong], len(pairs), "pairs")
    return [size for size in found.values() if not isinstance(size, Problem)]


def _size(pair: Pair) -> tuple[int, int] | Problem:
    """Height and width of a pair, or what is wrong with it."""
    try:
        size = size_of(pair.image)
        for mask in filter(None, (pair.mask, pair.classes)):
            if mask.name.suffix.lower() != ".npy" and (other := size_of(mask)) != size:
                return Problem(
                    f"{mask} has {other[1]} x {other[0]} px, its image {pair.image} {size[1]} x {size[0]}; export one"
                    " of them again."
                )
    except Problem as problem:
        return problem
    return size


def _ignored(text: str | None) -> list[int]:
    try:
        return [] if text is None else values_of(text)
    except ValueError:
        raise Problem(f"--ignore is {text!r}; give codes such as 255, or colours such as #000000.") from None
