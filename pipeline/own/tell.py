"""Say what was understood, line by line."""

import re

from pipeline.own import plan
from pipeline.own.effort import needs
from pipeline.own.found import Found
from pipeline.own.study import Plan
from pipeline.tiles.plan import TCGA

NAMES = 5  # patients in a line


def tell(found: Found, made: Plan) -> None:
    """Print files, pairs, classes, sizes, resolution, patients, tiles and what they need."""
    for line in lines(found, made):
        print(line)
    if not made.pretrained:
        print("first weights: random; `--weights imagenet` is usually better, and fetches them once from the network")


def lines(found: Found, made: Plan) -> list[str]:
    """What was understood, a line each."""
    sides = ", ".join(
        f"{part:.0%} {side}" for part, side in zip(made.fractions, ("train", "validate", "test"), strict=True) if part
    )
    owner = "patients" if any(found.patients.values()) else found.things
    owner = "blocks" if made.by == "block" else owner
    return [
        *found.lines,
        *(_patients(found) if made.by != "block" else []),
        f"tiles: {found.at_most}{made.tiles:,} of {found.tile_size} x {found.tile_size} px",
        f"split: {made.units:,} {owner}: {sides} ({counted(made.tested, owner)})",
        *(_alone(found) if made.by == "block" else _few(made, owner)),
        *needs(found.kind, made.tiles, found.tile_size, found.largest, made.fractions[0], made.epochs, made.variants),
    ]


def counted(number: int, things: str) -> str:
    """So many things, in words."""
    return f"{number:,} {things.removesuffix('s') if number == 1 else things}"


def _patients(found: Found) -> list[str]:
    """Who is the patient, and whence; or a warning."""
    known = sorted(set(found.patients.values()) - {""})
    if known:
        named = ", ".join(known[:NAMES]) + (", ..." if len(known) > NAMES else "")
        return [f"patients: {len(known):,} ({named}), from {found.patients_from}"]
    if found.by != "group":
        return ["patients: NOT KNOWN, nor slides, in this layout; a patient may be on both sides of the split."]
    said = [
        f"patients: NOT KNOWN. The split is by {found.thing}, so that a patient may be on both sides and every figure"
        " may be too good; give `--patients TABLE` or `--patient-pattern REGEX`."
    ]
    if all(_barcode(name) for name in found.names):
        said.append(f"  The names begin with barcodes of TCGA: `--patient-pattern '{TCGA}'` takes the patient of them.")
    return said


def _barcode(name: str) -> bool:
    return re.search(TCGA, name) is not None


def _alone(found: Found) -> list[str]:
    return [
        f"  There is one {found.thing} alone, which is too few. It goes on in blocks of it; what is tested lies beside"
        f" what trains, and no figure says anything of another {found.thing}."
    ]


def _few(made: Plan, owner: str) -> list[str]:
    few = made.tested < plan.ENOUGH
    return [
        f"  {counted(made.tested, owner)} to test on: too few to tell models apart ({plan.ENOUGH} are the least"
        " for that); it goes on all the same."
    ] * few
