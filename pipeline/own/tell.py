"""Say what was understood, line by line, and show it."""

import re
from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.datasets.masks.meaning import Annotated, Meaning, values_of
from pipeline.own import plan
from pipeline.own.sheet import draw_sheet
from pipeline.own.study import Plan
from pipeline.own.understand import Understood, refuse
from pipeline.tiles.plan import TCGA

SHOWN = 12  # images on the contact sheet
NAMES = 5  # patients in a line


def tell(understood: Understood, made: Plan, weights: str) -> None:
    """Print files, pairs, classes, sizes, resolution, patients, tiles and what they need."""
    for line in lines(understood, made):
        print(line)
    if weights == "random":
        print("first weights: random; `--weights imagenet` is usually better, and fetches them once from the network")


def lines(understood: Understood, made: Plan) -> list[str]:
    """What was understood, a line each."""
    settings, seen = understood.settings, understood.seen
    forms = ", ".join(f"{count:,} {form}" for form, count in seen.forms.most_common())
    heights, widths = zip(*understood.sizes, strict=True)
    pixels = plan.BYTES * made.tiles * settings.tile_size**2
    largest = max(height * width for height, width in understood.sizes)
    sides = ", ".join(
        f"{part:.0%} {side}" for part, side in zip(made.fractions, ("train", "validate", "test"), strict=True) if part
    )
    owner = "patients" if any(understood.patients.values()) else "images"
    return [
        f"pairs: {len(understood.pairs):,}; the mask of image {{}} is {settings.mask_name}",
        f"masks: {understood.kind.words} ({forms}; values of {seen.masks:,} read)",
        *_classes(understood),
        f"sizes: {min(widths):,} to {max(widths):,} px wide, {min(heights):,} to {max(heights):,} px high",
        f"resolution: {settings.microns_per_pixel:g} µm/px, from {understood.microns_from}",
        *_patients(understood),
        f"tiles: {made.tiles:,} of {settings.tile_size} x {settings.tile_size} px",
        f"split: {made.units:,} {owner}: {sides} ({counted(made.tested, owner)})",
        *_few(made, owner),
        f"needs: {pixels / 1e6:,.0f} MB of disk for tiles, {(largest * 40 + 5e8) / 1e9:.1f} GB of memory",
    ]


def counted(number: int, things: str) -> str:
    """So many things, in words."""
    return f"{number:,} {things.removesuffix('s') if number == 1 else things}"


def _classes(understood: Understood) -> list[str]:
    """Each class with its value, its share of the pixels that were read, and in what it is counted."""
    settings, pixels = understood.settings, understood.seen.pixels
    whole = max(1, sum(pixels.values()))
    if settings.values == "instances":
        beside = f", classes from {settings.class_maps}" if settings.class_maps else ""
        share = 1 - pixels.get(0, 0) / whole
        return [f"classes: {', '.join(settings.classes)}{beside}; nuclei cover {share:.1%}"]
    found = [
        f"class {code}: {name} (value {text}), {sum(pixels.get(value, 0) for value in values_of(text)) / whole:.1%}"
        for code, (name, text) in enumerate(settings.classes.items())
    ]
    return [*found, *([f"counted nowhere: {settings.ignore}"] if settings.ignore is not None else [])]


def _patients(understood: Understood) -> list[str]:
    """Who is the patient, and whence; or a warning."""
    known = sorted(set(understood.patients.values()) - {""})
    if known:
        named = ", ".join(known[:NAMES]) + (", ..." if len(known) > NAMES else "")
        return [f"patients: {len(known):,} ({named}), from {understood.patients_from}"]
    said = [
        "patients: NOT KNOWN. The split is by image, so that a patient may be on both sides and every figure may be too"
        " good; give `--patients TABLE` or `--patient-pattern REGEX`."
    ]
    if all(_barcode(pair.name) for pair in understood.pairs):
        said.append(f"  The names begin with barcodes of TCGA: `--patient-pattern '{TCGA}'` takes the patient of them.")
    return said


def _barcode(name: str) -> bool:
    return re.search(TCGA, name) is not None


def _few(made: Plan, owner: str) -> list[str]:
    few = made.tested < plan.ENOUGH
    return [
        f"  {counted(made.tested, owner)} to test on: too few to tell models apart ({plan.ENOUGH} are the least"
        " for that); it goes on all the same."
    ] * few


def draw(path: Path, understood: Understood) -> None:
    """Draw the contact sheet of some pairs, evenly over all of them.

    Raises:
        Problem: one of them cannot be read; all are tried.
    """
    pairs, meaning = understood.pairs, Meaning(understood.settings)
    step = max(1, len(pairs) // SHOWN)
    shown: list[tuple[str, Annotated]] = []
    problems = []
    for pair in pairs[::step][:SHOWN]:
        try:
            shown.append((pair.name, meaning.read(pair)))
        except Problem as problem:
            problems.append(str(problem))
    refuse(problems, len(pairs))
    draw_sheet(path, shown, list(understood.settings.classes))
