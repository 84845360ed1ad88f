"""What folders in PanNuke's layout hold, by the headers of their arrays and the first tiles."""

from collections import Counter
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import Problem
from pipeline.base.params import Folds
from pipeline.base.schema import parse
from pipeline.datasets.folds.reader import FOLD, reader
from pipeline.datasets.masks.meaning import Annotated
from pipeline.datasets.pannuke.card import CARD
from pipeline.datasets.pannuke.reader import Fold, find_arrays, tissue_name
from pipeline.own.asked import Asked, common_folder
from pipeline.own.found import Found, tried
from pipeline.own.legend import by_order
from pipeline.own.sheet import SHOWN, Shown, outlined

if TYPE_CHECKING:
    from pipeline.tiles.store import Tile

NAMED = 12  # tissues in a line
OF_THREE, OF_TWO, OF_ONE = (0.34, 0.33, 0.33), (0.5, 0.0, 0.5), (0.6, 0.2, 0.2)  # train, validation, test


def understand(asked: Asked) -> Found:
    """Read the headers of all arrays, the tissues, and the first tiles.

    Raises:
        Problem: something is missing or wrong; it names the file or the option that tells.
    """
    given = [("--legend", asked.legend), ("--ignore", asked.ignore), ("--values", asked.values),
             ("--nuclei", asked.nuclei), ("--tile", asked.tile_size), ("--patients", asked.patients),
             ("--patient-pattern", asked.patient_pattern)]  # fmt: skip
    if other := [option for option, value in given if value]:
        raise Problem(f"{other[0]} says nothing of PanNuke's layout; leave it out.")
    folder, _ = common_folder(pannuke=asked.pannuke)
    found = find_arrays(folder, FOLD)
    tried([array for arrays in found.values() for array in arrays.values()], lambda array: array.header, "arrays")
    channels = next(iter(found.values()))["masks"].header.shape[-1]
    names = asked.classes or CARD.classes
    if len(names) != channels:
        raise Problem(
            f"{next(iter(found.values()))['masks']} has {channels} channels, and there are {len(names)} classes,"
            f" {', '.join(names)}; give `--classes` with the background first, then those of the channels in order."
        )
    background, *classes = by_order(names)
    values: dict[str, Any] = {
        "folds": ", ".join(name.removeprefix("fold") for name in found),
        "classes": {background: channels - 1} | {name: channel for channel, name in enumerate(classes)},
        "microns_per_pixel": asked.microns_per_pixel or CARD.microns_per_pixel,
    }
    settings = parse(Folds, values, "the command line")
    parts = [reader(settings).fold(name, arrays) for name, arrays in found.items()]
    counts = tried(parts, lambda part: part.count, "folds")
    one = len(parts) == 1
    if one and counts[0] < 2:
        raise Problem(
            f"{folder} holds one tile alone, and a model is tested on others than it was trained on; give two at least."
        )
    return Found(
        kind="folds",
        words=f"tiles in PanNuke's layout with {', '.join(classes)}",
        source=folder,
        settings=settings,
        classes=list(settings.classes),
        nuclei=True,
        tile_size=parts[0].tile_size,
        microns_per_pixel=settings.microns_per_pixel,
        names=[str(number) for number in range(counts[0])] if one else settings.names,
        tiles=[1] * counts[0] if one else counts,
        patients={},
        patients_from="none told",
        lines=_lines(settings, parts, asked),
        pictures=partial(pictures, parts),
        things="tiles" if one else "folds",
        by="random" if one else "official",
        fractions=OF_ONE if one else OF_TWO if len(parts) == 2 else OF_THREE,
    )


def _lines(settings: Folds, parts: list[Fold], asked: Asked) -> list[str]:
    """Folds, classes and tissues, a line each."""
    tissues = Counter(
        tissue_name(value, f"{part.types}: tile {tile}", None)
        for part in parts
        for tile, value in enumerate(part.types.rows())
    )
    named = ", ".join(f"{name} ({count:,})" for name, count in tissues.most_common(NAMED))
    said = "as given" if asked.classes else "PanNuke's own names (else give `--classes`)"
    test, *others = settings.names
    validation = others[0] if len(others) > 1 else "none"
    return [
        f"folds: {', '.join(f'{part.name} with {part.count:,} tiles' for part in parts)}",
        f"classes: {', '.join(f'{name} (channel {channel})' for name, channel in settings.classes.items())}; {said}",
        f"types: {named}{', ...' if len(tissues) > NAMED else ''}; all are used",
        f"resolution: {settings.microns_per_pixel:g} µm/px, "
        + (
            "from --microns-per-pixel" if asked.microns_per_pixel else "PanNuke's own (else give `--microns-per-pixel`)"
        ),
        f"{test} tests, {validation} validates, the rest trains"
        if others
        else "one fold alone: each tile is dealt out",
    ]


def pictures(parts: list[Fold]) -> list[Shown]:
    """The first tiles of each fold with their outlines."""
    each = -(-SHOWN // len(parts))
    shown = [(part.name, tile) for part in parts for tile in islice(part.tiles(), each)]
    return [(f"{name}, {tile.source_index}: {tile.group}", _outlined(tile)) for name, tile in shown[:SHOWN]]


def _outlined(tile: "Tile") -> Any:
    return outlined(Annotated(tile.image, tile.class_map, tile.instance_map, dict(tile.nuclei)))
