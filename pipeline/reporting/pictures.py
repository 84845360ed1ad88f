"""Strips of tiles: image, truth, prediction and errors beside each other, one tile a row, with a legend.

Drawn with Pillow alone and without a date in the file, so that the same tiles give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from pipeline.metrics import pixel
from pipeline.tiles.store import IGNORE

Rgb = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Okabe and Ito's colours, told apart with any colour vision: five for classes, three for errors. Of more than five
# classes the others are those of a map: apart from their neighbours in the list, not all from each other in any vision.
# fmt: off
CLASS_COLOURS: tuple[Colour, ...] = (
    (213, 94, 0), (0, 114, 178), (0, 158, 115), (240, 228, 66), (204, 121, 167), (170, 0, 0), (120, 120, 120),
    (70, 70, 160), (255, 190, 150), (110, 60, 150), (90, 200, 200), (150, 200, 80), (230, 80, 140), (120, 80, 40),
    (190, 190, 190), (0, 70, 60), (250, 150, 60), (130, 20, 80), (60, 130, 255), (90, 110, 0), (220, 200, 255),
)
# fmt: on
ERROR_COLOURS: dict[str, Colour] = {
    "missed": (0, 0, 0),
    "invented": (86, 180, 233),
    "wrong class": (230, 159, 0),
}
BACKGROUND_COLOUR: Colour = (232, 232, 232)
IGNORED_COLOUR: Colour = (255, 255, 255)
PANELS = ("image", "truth", "prediction", "errors")
PANEL_SIDE = 192  # px at least, so that single nuclei can be seen
GAP, LINE = 8, 20  # px between panels; height of a line of text


@dataclass(frozen=True)
class Row:
    """One tile of a strip; all rows of a strip have the same size."""

    caption: str
    image: Rgb  # (H, W, 3)
    truth: npt.NDArray[np.uint8]  # (H, W)
    predicted: npt.NDArray[np.uint8]  # (H, W)


def colours(classes: Sequence[str]) -> dict[str, Colour]:
    """The colour of each class: the background light grey, the others in fixed order."""
    palette = iter(CLASS_COLOURS)
    return {name: BACKGROUND_COLOUR if name == pixel.BACKGROUND else next(palette) for name in classes}


def paint(class_map: npt.NDArray[np.uint8], classes: Sequence[str]) -> Rgb:
    """Give each class its colour, (H, W) -> (H, W, 3); ignored pixels are white."""
    table = np.full((256, 3), IGNORED_COLOUR, np.uint8)
    table[: len(classes)] = list(colours(classes).values())
    return table[class_map]


def paint_errors(row: Row, classes: Sequence[str]) -> Rgb:
    """The pale image with its errors marked: missed, invented (both against the background) and wrong class."""
    grey = np.asarray(Image.fromarray(row.image).convert("L"), np.float32)
    result = np.repeat((170 + grey / 3).astype(np.uint8)[..., None], 3, axis=2)
    is_class = np.append(pixel.foreground(classes), np.zeros(256 - len(classes), bool))
    wrong = (row.truth != row.predicted) & (row.truth != IGNORE)
    result[wrong & is_class[row.truth] & ~is_class[row.predicted]] = ERROR_COLOURS["missed"]
    result[wrong & ~is_class[row.truth] & is_class[row.predicted]] = ERROR_COLOURS["invented"]
    result[wrong & is_class[row.truth] & is_class[row.predicted]] = ERROR_COLOURS["wrong class"]
    return result


def strip(rows: Sequence[Row], classes: Sequence[str]) -> Image.Image:
    """Draw the rows below each other, panel titles on top, the colour legend at the bottom."""
    pixels = rows[0].image.shape[0]
    side = pixels * max(1, round(PANEL_SIDE / pixels))
    width = GAP + len(PANELS) * (side + GAP)
    font = ImageFont.load_default(size=14)
    objects = [name for name in classes if name != pixel.BACKGROUND]
    possible = {"missed", "invented"} if len(objects) < len(classes) else set()
    possible |= {"wrong class"} if len(objects) > 1 else set()
    errors = {name: colour for name, colour in ERROR_COLOURS.items() if name in possible}
    lines = [*legend_lines(colours(classes), width, font), *legend_lines(errors, width, font)]
    height = LINE + len(rows) * (side + LINE + GAP) + len(lines) * LINE + GAP
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(PANELS):
        draw.text((GAP + column * (side + GAP), 2), title, "black", font)
    top = LINE
    for row in rows:
        draw.text((GAP, top + 2), row.caption, (90, 90, 90), font)
        panels = (row.image, paint(row.truth, classes), paint(row.predicted, classes), paint_errors(row, classes))
        for column, panel in enumerate(panels):
            enlarged = Image.fromarray(panel).resize((side, side), Image.Resampling.NEAREST)
            canvas.paste(enlarged, (GAP + column * (side + GAP), top + LINE))
        top += side + LINE + GAP
    for line in lines:
        legend(draw, line, top, font)
        top += LINE
    return canvas


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG as small as Pillow can."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)


def legend_lines(entries: dict[str, Colour], width: int, font: Font) -> list[dict[str, Colour]]:
    """Entries of a legend, parted into lines that fit into `width` px."""
    lines: list[dict[str, Colour]] = [{}]
    left = GAP
    for name, colour in entries.items():
        if left + _entry_width(name, font) > width and lines[-1]:
            lines.append({})
            left = GAP
        lines[-1][name] = colour
        left += _entry_width(name, font)
    return lines


def legend(draw: ImageDraw.ImageDraw, entries: dict[str, Colour], top: int, font: Font) -> None:
    """Draw a row of colours with their names, its upper edge at `top` px."""
    left = GAP
    for name, colour in entries.items():
        draw.rectangle((left, top + 3, left + 14, top + 15), fill=colour, outline=(90, 90, 90))
        draw.text((left + 20, top + 1), name, "black", font)
        left += _entry_width(name, font)


def _entry_width(name: str, font: Font) -> int:
    return 36 + round(font.getlength(name))
