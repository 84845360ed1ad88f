"""Small slides and annotations that tests write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

TISSUE, GLASS = (200, 120, 160), (240, 240, 240)


def write_tiff(path: Path, pixels: Any, microns_per_pixel: float | None = 0.25, description: str = "") -> Path:
    """A tiled pyramid of two levels; without `description` a generic TIFF with its resolution in tags, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as tiff:
        for level, step in enumerate((1, 4)):
            resolution = None if microns_per_pixel is None else (1e4 / microns_per_pixel / step,) * 2
            tiff.write(
                np.ascontiguousarray(pixels[::step, ::step]),
                tile=(64, 64),
                photometric="rgb",
                compression="deflate",
                description=description,
                subfiletype=int(level > 0),
                resolution=resolution,
                resolutionunit="CENTIMETER" if resolution else None,
                metadata=None,
            )
    return path


def speckled(height: int, width: int, seed: int = 0) -> Any:
    """Tissue with texture on its left half, glass on the right."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), GLASS, np.uint8)
    half = width // 2
    pixels[:, :half] = np.clip(np.array(TISSUE) + rng.integers(-40, 40, (height, half, 3)), 0, 255)
    return pixels


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    """A closed ring."""
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def feature(kind: str, coordinates: Any, classification: Any = "UDH") -> dict[str, Any]:
    """A feature of QuPath; `classification` is a class's name, or whatever shall stand there."""
    properties: dict[str, Any] = {"objectType": "annotation"}
    if classification is not None:
        named = isinstance(classification, str)
        properties["classification"] = {"name": classification, "color": [1, 2, 3]} if named else classification
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def write_features(path: Path, *features: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path
