"""A test slide as a variant sees it: classes of its test tiles laid on the thumbnail, annotated and decided."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.base import hdf5
from pipeline.base.files import read_json
from pipeline.base.paths import TILES
from pipeline.base.study import PixelStudy
from pipeline.metrics import pixel
from pipeline.reporting.pictures import GAP, LINE, colours, legend, legend_lines, paint
from pipeline.reporting.results import Variant
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import read_plan
from pipeline.tiles.store import ClassMap

PANELS = ("annotated", "decided")
LONGEST = 760  # px, of one panel
OPAQUE = 170  # of 255, of a class's colour on the tissue
FRAME, OUTLINE = (170, 170, 170), (20, 20, 20)


def draw(path: Path, variant: Variant, study: PixelStudy, plans: Path) -> str | None:
    """Write the picture of one slide as JPEG, by the variant's first run and seed, and give the slide's name.

    It is the test slide with the most annotated pixels that are not background. None, and nothing is written, where no
    test tile is of a slide of which `convert` kept a thumbnail. `plans` is the folder of the first run's plans.
    """
    slide = richest(variant, study.classes)
    if slide is None:
        return None
    picture(*slide, variant, study, plans).save(path, "JPEG", quality=85)
    return slide[1]


def picture(dataset: str, name: str, variant: Variant, study: PixelStudy, plans: Path) -> Image.Image:
    """A slide's test tiles on its thumbnail, the annotated classes beside the decided ones, outlines on both."""
    plan = read_plan(plans / "split.csv")
    examples = Examples.of(plan[plan["split"] == "test"], study)
    drawn = read_json(TILES / dataset / f"{name}.outlines.json")
    with Image.open(TILES / dataset / f"{name}.thumbnail.jpg") as file:
        tissue = Image.blend(file.convert("RGB"), Image.new("RGB", file.size, "white"), 0.35)
    smaller = min(1.0, LONGEST / max(tissue.size))
    tissue = tissue.resize((max(1, round(tissue.width * smaller)), max(1, round(tissue.height * smaller))))
    panels = [tissue, tissue.copy()]
    mine = (examples.plan["dataset"] == dataset) & (examples.plan["shard"] == name)
    places = examples.plan[["x", "y"]].to_numpy() * (smaller / drawn["downsample"])
    with hdf5.reading(variant.folders[0] / "class_maps.h5") as file:
        for tile in np.flatnonzero(mine).tolist():
            maps = (examples.class_map(tile), hdf5.read_row(file, "class_map", tile))
            for panel, class_map in zip(panels, maps, strict=True):
                lay(panel, class_map, study.classes, places[tile], drawn["tile"] * smaller)
    for panel in panels:
        brush = ImageDraw.Draw(panel)
        for outline in drawn["outlines"]:
            ring = [(x * smaller, y * smaller) for x, y in outline["ring"]]
            brush.line([*ring, ring[0]], fill=OUTLINE, width=1)
    return side_by_side(panels, study.classes)


def richest(variant: Variant, classes: Sequence[str]) -> tuple[str, str] | None:
    """Data set and name of the test slide with a thumbnail that has the most annotated pixels but background."""
    run, seed = variant.runs[0].run, variant.runs[0].seed
    mine = ((variant.images["run"] == run) & (variant.images["seed"] == seed)).to_numpy()
    found = variant.images.loc[mine, ["dataset", "shard"]]
    found = found.assign(pixels=variant.counts[mine][:, pixel.foreground(classes)].sum(axis=(1, 2)))
    pixels = found.groupby(["dataset", "shard"], sort=True)["pixels"].sum()
    kept = [slide for slide in pixels.index if (TILES / slide[0] / f"{slide[1]}.outlines.json").exists()]
    return max(kept, key=lambda slide: pixels[slide]) if kept else None


def lay(panel: Image.Image, class_map: ClassMap, classes: Sequence[str], corner: Sequence[float], side: float) -> None:
    """Colour the pixels of a tile (H, W) that are of a class other than the background, over the tile's frame."""
    left, top, right, bottom = (round(at) for at in (*corner, *(start + side for start in corner)))
    size = max(1, right - left), max(1, bottom - top)
    shown = np.append(pixel.foreground(classes), np.zeros(256 - len(classes), bool))
    opacity = Image.fromarray(np.where(shown[class_map], OPAQUE, 0).astype(np.uint8)).resize(size, Image.Resampling.BOX)
    colour = Image.fromarray(paint(class_map, classes)).resize(size, Image.Resampling.NEAREST)
    ImageDraw.Draw(panel).rectangle((left, top, left + size[0] - 1, top + size[1] - 1), outline=FRAME)
    panel.paste(colour, (left, top), opacity)


def side_by_side(panels: Sequence[Image.Image], classes: Sequence[str]) -> Image.Image:
    """The panels under their titles, the classes' colours below."""
    font = ImageFont.load_default(size=14)
    across, down = panels[0].size
    width = GAP + len(panels) * (across + GAP)
    lines = legend_lines(
        {name: colour for name, colour in colours(classes).items() if name != pixel.BACKGROUND}, width, font
    )
    canvas = Image.new("RGB", (width, LINE + down + GAP + len(lines) * LINE), "white")
    brush = ImageDraw.Draw(canvas)
    for place, (title, panel) in enumerate(zip(PANELS, panels, strict=True)):
        left = GAP + place * (across + GAP)
        brush.text((left, 2), title, "black", font)
        canvas.paste(panel, (left, LINE))
    for number, line in enumerate(lines):
        legend(brush, line, LINE + down + GAP + number * LINE, font)
    return canvas
