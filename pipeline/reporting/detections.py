"""What a detector found, drawn on the image: image, truth and detections beside each other, one image a row.

Drawn with Pillow alone and without a date in the file, so that the same detections give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from pipeline.reporting.pictures import CLASS_COLOURS, GAP, LINE, legend
from pipeline.tiles.objects import Objects

SURE = 0.5  # the lowest score that is drawn; the many doubtful ones would hide the others
PANELS = ("image", "pseudo-instances", f"detections with a score of {100 * SURE:.0f} or more")
SIDE = 320  # px at least, of a panel's shorter side
LABEL = (14, 11)  # px, width and height of a written score
TINT = 0.45  # of a nucleus's colour over the image


@dataclass(frozen=True)
class Shown:
    """An image, its true nuclei and those that were found."""

    caption: str
    image: npt.NDArray[np.uint8]  # (H, W, 3)
    truth: Objects
    found: Objects


def sheet(rows: Sequence[Shown], classes: Sequence[str]) -> Image.Image:
    """Draw the rows below each other; boxes of scores from SURE on carry theirs in percent.

    `classes` are those of labels 1, 2, ...
    """
    height, width = rows[0].image.shape[:2]
    scale = max(1, round(SIDE / min(height, width)))
    size = (width * scale, height * scale)
    font = ImageFont.load_default(size=14)
    canvas = Image.new(
        "RGB", (GAP + len(PANELS) * (size[0] + GAP), LINE + len(rows) * (size[1] + LINE + GAP) + LINE), "white"
    )
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(PANELS):
        draw.text((GAP + column * (size[0] + GAP), 2), title, "black", font)
    top = LINE
    for row in rows:
        draw.text((GAP, top + 2), row.caption, (90, 90, 90), font)
        panels = [Image.fromarray(row.image).resize(size, Image.Resampling.BILINEAR)]
        panels += [
            overlay(row.image, objects, scale, boxes) for objects, boxes in ((row.truth, False), (row.found, True))
        ]
        for column, panel in enumerate(panels):
            canvas.paste(panel, (GAP + column * (size[0] + GAP), top + LINE))
        top += size[1] + LINE + GAP
    legend(draw, dict(zip(classes, CLASS_COLOURS, strict=False)), top, font)
    return with_palette(canvas, CLASS_COLOURS[: len(classes)])


def with_palette(canvas: Image.Image, kept: Sequence[tuple[int, int, int]]) -> Image.Image:
    """A picture of 256 colours, a third of the size; those of `kept`, such as a legend's, stay what they are."""
    found = canvas.quantize(256 - len(kept), dither=Image.Dither.NONE).getpalette() or []
    holder = Image.new("P", (1, 1))
    holder.putpalette([*(value for colour in kept for value in colour), *found[: 3 * (256 - len(kept))]])
    return canvas.quantize(palette=holder, dither=Image.Dither.NONE)


def overlay(image: npt.NDArray[np.uint8], objects: Objects, scale: int, boxes: bool) -> Image.Image:
    """Tint each nucleus in the colour of its class, the one of the highest score on top; draw boxes and scores.

    Of detections (`boxes`) those below SURE are left out, and a score that would lie on a higher one is not written.
    """
    tinted = image.astype(np.float64)
    order = [
        number for number in np.argsort(objects.scores, kind="stable") if not boxes or objects.scores[number] >= SURE
    ]
    for number in order:
        mask = objects.masks[number]
        tinted[mask] = (1 - TINT) * image[mask] + TINT * np.array(CLASS_COLOURS[objects.labels[number] - 1])
    height, width = image.shape[:2]
    picture = Image.fromarray(tinted.astype(np.uint8)).resize((width * scale, height * scale), Image.Resampling.NEAREST)
    if boxes:
        draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=10)
        corners = {number: objects.boxes[number].astype(float) * scale for number in order}
        for number, (x0, y0, x1, y1) in corners.items():
            colour = CLASS_COLOURS[objects.labels[number] - 1]
            draw.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=colour)
        written: list[tuple[float, float]] = []
        for number in reversed(order):
            x, y = corners[number][0] + 2, corners[number][1]
            if all(abs(x - left) > LABEL[0] or abs(y - top) > LABEL[1] for left, top in written):
                draw.text((x, y), f"{100 * objects.scores[number]:.0f}", "black", font)
                written.append((x, y))
    return picture
