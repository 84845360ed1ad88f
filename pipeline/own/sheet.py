"""A contact sheet: some images with the outlines of what is annotated in them, to look at before anything trains."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.base.errors import Problem
from pipeline.base.files import replacing
from pipeline.datasets.masks.meaning import NOWHERE, Annotated
from pipeline.own.found import refuse
from pipeline.own.plan import evenly

SHOWN = 12  # images
COLUMNS, SIDE, GAP, TITLE = 4, 320, 8, 18  # px
# Okabe and Ito's colours, told apart with any colour vision; classes beyond them begin anew
COLOURS = ((213, 94, 0), (0, 114, 178), (0, 158, 115), (240, 228, 66), (204, 121, 167), (86, 180, 233), (230, 159, 0))
GREY = (120, 120, 120)  # of what counts nowhere


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str: ...


Shown = tuple[str, Any]  # an image's name, and a picture of it with outlines, SIDE px at the longer side


def draw_sheet(path: Path, shown: Sequence[Shown], classes: Sequence[str]) -> None:
    """Write the sheet as PNG: each image by name, outlines in the colour of their class, the legend below."""
    from PIL import Image, ImageDraw

    rows = -(-len(shown) // COLUMNS)
    width = COLUMNS * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, rows * (SIDE + TITLE + GAP) + 2 * GAP + TITLE), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (name, picture) in enumerate(shown):
        row, column = divmod(place, COLUMNS)
        corner = (GAP + column * (SIDE + GAP), GAP + row * (SIDE + TITLE + GAP))
        sheet.paste(picture, corner)
        draw.text((corner[0], corner[1] + SIDE + 2), name[-48:], fill="black")
    left, top = GAP, rows * (SIDE + TITLE + GAP) + GAP
    for name, colour in [*((name, colour_of(code)) for code, name in enumerate(classes) if code), ("ignored", GREY)]:
        draw.rectangle((left, top + 2, left + 10, top + 12), fill=colour)
        draw.text((left + 14, top), name, fill="black")
        left += 24 + int(draw.textlength(name))
    with replacing(path) as temporary:
        sheet.save(temporary, "PNG")


def colour_of(code: int) -> tuple[int, int, int]:
    """The colour of a class's outlines."""
    return GREY if code == NOWHERE else COLOURS[(code - 1) % len(COLOURS)]


def look_at_some(items: Sequence[Named], read: Callable[[Any], Annotated]) -> list[Shown]:
    """Pictures of some images with their outlines, evenly over all of them.

    Raises:
        Problem: one of them cannot be read; all are tried.
    """
    shown: list[Shown] = []
    problems = []
    for item in evenly(items, SHOWN):
        try:
            shown.append((item.name, outlined(read(item))))
        except Problem as problem:
            problems.append(str(problem))
    refuse(problems, len(items), "pairs")
    return shown


def outlined(annotated: Annotated) -> Any:
    """An image at the size of the sheet; outlines are made at that size, so that they stay to be seen."""
    from PIL import Image

    height, width = annotated.class_map.shape
    size = (max(1, round(width * SIDE / max(height, width))), max(1, round(height * SIDE / max(height, width))))
    pixels = np.asarray(Image.fromarray(annotated.image).resize(size, Image.Resampling.BOX)).copy()
    classes = np.asarray(Image.fromarray(annotated.class_map).resize(size, Image.Resampling.NEAREST))
    instances = np.asarray(Image.fromarray(annotated.instance_map).resize(size, Image.Resampling.NEAREST))
    border = edges(classes) | edges(instances)
    for code in np.unique(classes[border]):
        if code:
            pixels[border & (classes == code)] = colour_of(int(code))
    return Image.fromarray(pixels)


def edges(values: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Pixels whose right or lower neighbour, or left or upper one, has another value, (H, W)."""
    found = np.zeros(values.shape, np.bool_)
    across, down = values[:, 1:] != values[:, :-1], values[1:] != values[:-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found
