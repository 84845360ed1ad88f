"""A picture of a slide: its thumbnail with the annotated outlines, and which tiles were kept or are background.

Also the thumbnail without anything on it and the outlines as numbers, from which reports draw their own.
"""

import json
from pathlib import Path

from PIL import Image, ImageDraw

from pipeline.base.files import write_text
from pipeline.slides.annotations import Annotations, rings_of
from pipeline.slides.tiling import BACKGROUND, FREE, LESION, Selection

LONGEST = 1600  # px, of the picture
COLOURS = {LESION: (220, 20, 60), FREE: (0, 140, 60), BACKGROUND: (120, 120, 120)}  # of tiles, by state
OUTLINE = (20, 60, 220)


def draw_sheet(path: Path, selection: Selection, annotations: Annotations) -> None:
    """Write the picture as JPEG: red tiles have a lesion, green ones none, grey ones were read and dropped."""
    picture = Image.fromarray(selection.overview)
    picture.thumbnail((LONGEST, LONGEST))
    scale = picture.width / selection.overview.shape[1] / selection.overview_downsample
    draw = ImageDraw.Draw(picture)
    side = selection.grid.tile_size * selection.grid.downsample * scale
    for tile in selection.index:
        if tile.state in COLOURS:
            x, y = (value * scale for value in selection.grid.corner(*tile.position))
            draw.rectangle((x, y, x + side - 1, y + side - 1), outline=COLOURS[tile.state])
    for shape in annotations.shapes:
        for ring in rings_of(shape):
            draw.line([*map(tuple, ring * scale), tuple(ring[0] * scale)], fill=OUTLINE, width=2)
    picture.save(path, "JPEG", quality=90)


def write_thumbnail(folder: Path, name: str, selection: Selection, annotations: Annotations) -> None:
    """Write <name>.thumbnail.jpg and <name>.outlines.json, in which lengths are px of the thumbnail.

    The JSON has `downsample`, px of the slide's full resolution on one, `tile`, the side of a tile, and `outlines`,
    each with its class `code` and its `ring` of points [x, y].
    """
    picture = Image.fromarray(selection.overview)
    picture.thumbnail((LONGEST, LONGEST))
    picture.save(folder / f"{name}.thumbnail.jpg", "JPEG", quality=90)
    downsample = selection.overview.shape[1] * selection.overview_downsample / picture.width
    outlines = [
        {"code": code, "ring": (ring / downsample).round(1).tolist()}
        for shape, code in zip(annotations.shapes, annotations.codes, strict=True)
        for ring in rings_of(shape)
    ]
    tile = selection.grid.tile_size * selection.grid.downsample / downsample
    found = {"downsample": downsample, "tile": tile, "outlines": outlines}
    write_text(folder / f"{name}.outlines.json", json.dumps(found) + "\n")
