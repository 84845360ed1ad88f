"""Nuclei outlined on their images, so that merged and split ones can be seen.

True outlines are thin and dark, found ones coloured: what merges several true nuclei, what is part of a split one, and
the rest. A legend stands below; the same tiles give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import h5py
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation
from skimage.segmentation import find_boundaries

from pipeline.base.study_blocks import Instances
from pipeline.metrics import instance
from pipeline.nuclei import watershed
from pipeline.reporting.pictures import GAP, LINE, Colour, Rgb, legend
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import IGNORE, InstanceMap

# Okabe and Ito's colours, told apart with any colour vision and beside the violet of the stain.
COLOURS: dict[str, Colour] = {
    "true nucleus": (0, 0, 0),
    "found": (86, 180, 233),
    "found, merges several": (213, 94, 0),
    "found, part of a split one": (240, 228, 66),
}
SIDE = 384  # px of an image at least, so that outlines can be told apart
COLUMNS = 2


@dataclass(frozen=True)
class Overlay:
    """An image with its true and found nuclei, all of the same size."""

    name: str
    image: Rgb  # (H, W, 3)
    truth: InstanceMap  # (H, W)
    found: InstanceMap  # (H, W)

    @property
    def table(self) -> instance.Overlaps:
        return instance.overlaps(self.truth, self.found)


def collect(examples: Examples, class_maps: h5py.Group, settings: Instances, count: int) -> list[Overlay]:
    """The images with the most merged and split nuclei, the worst first.

    `class_maps` holds the predicted class map (H, W) of each example at native size under its number, as it was scored:
    the nuclei that are drawn are those that instances.csv counts.
    """
    found = []
    for position in range(len(examples)):
        truth, truth_map, _ = examples.nuclei(position)
        pieces = watershed.instances(class_maps[str(position)][()] > 0, settings.method, settings.minimum_size)
        name = f"{examples.plan['shard'][position]}, tile {examples.plan['index'][position]}"
        image = examples.native(position)[0]
        found.append(Overlay(name, image, np.where(truth_map == IGNORE, 0, truth).astype(np.int32), pieces))
    return sorted(found, key=lambda overlay: -instance.joins(overlay.table).sum())[:count]


def paint(overlay: Overlay, zoom: int) -> Rgb:
    """The image, `zoom` times as large, with all outlines."""
    image, truth, found = (
        np.repeat(np.repeat(values, zoom, axis=0), zoom, axis=1)
        for values in (overlay.image, overlay.truth, overlay.found)
    )
    table = overlay.table
    merging, split = instance.merged_and_split(table)
    inside = 2 * table.intersections > table.prediction_areas[table.columns]
    parts = table.prediction_ids[table.columns[inside & np.isin(table.truth_ids[table.rows], split)]]
    colours = np.full((int(found.max()) + 1, 3), COLOURS["found"], np.uint8)
    colours[parts] = COLOURS["found, part of a split one"]
    colours[merging] = COLOURS["found, merges several"]
    result = image.copy()
    edge = binary_dilation(borders(found)) & (found > 0)
    result[edge] = colours[found[edge]]
    result[borders(truth)] = COLOURS["true nucleus"]
    return result


def borders(instances: InstanceMap) -> npt.NDArray[np.bool_]:
    """Mark the pixels of nuclei (H, W) that touch another nucleus, the background or the edge of the image."""
    return np.asarray(find_boundaries(np.pad(instances, 1), mode="inner")[1:-1, 1:-1], np.bool_)


def sheet(overlays: Sequence[Overlay]) -> Image.Image:
    """The overlays beside and below each other, each under its name and its counts of merged and split nuclei."""
    zoom = max(1, round(SIDE / overlays[0].image.shape[0]))
    side = zoom * overlays[0].image.shape[0]
    rows = -(-len(overlays) // COLUMNS)
    font = ImageFont.load_default(size=14)
    canvas = Image.new("RGB", (GAP + COLUMNS * (side + GAP), rows * (side + LINE + GAP) + LINE + GAP), "white")
    draw = ImageDraw.Draw(canvas)
    for place, overlay in enumerate(overlays):
        left, top = GAP + (place % COLUMNS) * (side + GAP), (place // COLUMNS) * (side + LINE + GAP)
        merged, split = (int(value) for value in instance.joins(overlay.table))
        draw.text((left, top + 2), f"{overlay.name}: {merged} merging, {split} split", (90, 90, 90), font)
        canvas.paste(Image.fromarray(paint(overlay, zoom)), (left, top + LINE))
    legend(draw, COLOURS, rows * (side + LINE + GAP), font)
    return canvas
