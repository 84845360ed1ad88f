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


NM = 250  # of a pixel, in an SCN's lengths


def write_scn(path: Path, pixels: Any, corner: tuple[int, int], glass: int) -> Path:
    """A Leica SCN: a scan whose corner lies at x and y of a square glass, with a macro image; 40x, 0.25 µm/px."""

    def image(name: str, size: tuple[int, int], view: str, objective: int, pages: list[tuple[int, int, int]]) -> str:
        dimensions = "".join(
            f'<dimension sizeX="{w}" sizeY="{h}" r="{r}" ifd="{ifd}"/>' for r, (w, h, ifd) in enumerate(pages)
        )
        return (
            f'<image name="{name}"><creationDate>2020-01-01T00:00:00Z</creationDate><device model="Leica SCN400"/>'
            f'<pixels sizeX="{size[0]}" sizeY="{size[1]}">{dimensions}</pixels><view {view} spacingZ="0"/>'
            f"<scanSettings><objectiveSettings><objective>{objective}</objective></objectiveSettings>"
            "<illuminationSettings><numericalAperture>0.65</numericalAperture>"
            "<illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings></image>"
        )

    def view(width: int, height: int, x: int, y: int) -> str:
        return f'sizeX="{width * NM}" sizeY="{height * NM}" offsetX="{x * NM}" offsetY="{y * NM}"'

    height, width = pixels.shape[:2]
    small, macro = np.ascontiguousarray(pixels[::4, ::4]), np.full((64, 64, 3), GLASS, np.uint8)
    pages = [(width, height, 1), (small.shape[1], small.shape[0], 2)]
    description = (
        '<?xml version="1.0" encoding="utf-8"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        f'<collection name="c" sizeX="{glass * NM}" sizeY="{glass * NM}"><barcode></barcode>'
        + image("macro", (64, 64), view(glass, glass, 0, 0), 1, [(64, 64, 0)])
        + image("main", (width, height), view(width, height, *corner), 40, pages)
        + "</collection></scn>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as tiff:
        for page, text in ((macro, description), (pixels, None), (small, None)):
            tiff.write(page, tile=(64, 64), photometric="rgb", compression="deflate", description=text, metadata=None)
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
