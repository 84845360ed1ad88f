"""Whole slides as people have them, drawn small: two kinds of areas in a region of interest, of several patients."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.slide_files import box, feature, write_features, write_tiff

SIDE, MICRONS = 512, 0.5
COLOURS = {"Tumor": (120, 40, 100), "Loose stroma": (200, 90, 90)}
REGION = "Region"
Boxes = list[tuple[str, tuple[int, int, int, int]]]  # class, and left, top, right, bottom


def draw(folder: Path, slides: int = 6, region: bool = False) -> dict[str, Boxes]:
    """Slides `S0_a.tif` ... with the outlines beside, and what is outlined in each, by name."""
    found = {}
    for number in range(slides):
        pixels, boxes = scene(number)
        write_tiff(folder / f"S{number}_a.tif", pixels, MICRONS)
        boxes += [(REGION, (32, 32, SIDE - 64, SIDE - 32))] * region
        outlines = [feature("Polygon", [box(*place)], name) for name, place in boxes]
        write_features(folder / f"S{number}_a.geojson", *outlines)
        found[f"S{number}_a"] = boxes
    return found


def scene(seed: int) -> tuple[Any, Boxes]:
    """Pixels of a slide, (SIDE, SIDE, 3), and what is where."""
    rng = np.random.default_rng(seed)
    pixels = np.clip(np.array((215, 180, 205)) + rng.integers(-25, 25, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    boxes: Boxes = []
    for name, colour in COLOURS.items():
        left, top = (int(value) for value in rng.integers(20, SIDE - 200, 2))
        right, bottom = left + int(rng.integers(80, 160)), top + int(rng.integers(80, 160))
        shape = (bottom - top, right - left, 3)
        pixels[top:bottom, left:right] = np.clip(np.array(colour) + rng.integers(-25, 25, shape), 0, 255)
        boxes.append((name, (left, top, right, bottom)))
    return pixels, boxes
