"""Draw the sample of BRACS: pyramidal slides and QuPath's GeoJSON; what holds for every drawing is said in
pipeline/drawing/__init__.py.

A slide is laid out in squares of tissue that are drawn once a patient and turned, since drawing each pixel anew would
take minutes. Pixels are the same on every machine, as are the files with the JPEG encoder of the lock file.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.datasets.bracs.card import CARD, Sample
from pipeline.drawing import scenes
from pipeline.drawing.canvas import Canvas, Rng
from pipeline.drawing.slide_scenes import fat, hyperplasia
from pipeline.drawing.stain import Stain, photograph

Pixels = npt.NDArray[np.uint8]

SQUARE = 256  # px of tissue
LESION = 2 * SQUARE  # px of the square that a lesion lies in
SIDES = ("train", "train", "train", "train", "val", "test")  # of the six patients
TWO_SLIDES = (1, 4)  # patients, from 0
FIRST = 9001  # number of the first slide: beyond those of BRACS
TILE = 256  # px, of the TIFF
LEVELS = (1, 4, 16)
CORNERS = 48  # of a lesion's outline


def draw(folder: Path, seed: int, settings: Sample) -> None:
    """Write `<part>/Group_BT/Type_UDH/BRACS_<n>.svs` with GeoJSON beside each, and the table BRACS.csv."""
    lines = ["WSI Filename,Patient Id,Set,WSI label"]
    number = FIRST
    for patient, side in enumerate(SIDES):
        look = np.random.default_rng([seed, 103, patient])
        stain, squares = Stain.random(look), None
        for _ in range(2 if patient in TWO_SLIDES else 1):
            squares = squares or _squares(np.random.default_rng([seed, 103, patient, 1]), stain)
            rng = np.random.default_rng([seed, 103, patient, number])
            pixels, outlines = draw_slide(rng, stain, squares, settings.size)
            place = folder / side / "Group_BT" / "Type_UDH"
            place.mkdir(parents=True, exist_ok=True)
            write_slide(place / f"BRACS_{number}.svs", pixels)
            text = json.dumps(qupath(outlines, settings.size, number), indent=2)
            (place / f"BRACS_{number}.geojson").write_text(text + "\n", encoding="utf-8", newline="\n")
            lines.append(f"BRACS_{number},{patient + 1},{side.title()},UDH")
            number += 1
    (folder / "BRACS.csv").write_text("\n".join([*lines, ""]), encoding="utf-8", newline="\n")


def _squares(rng: Rng, stain: Stain) -> dict[str, list[Pixels]]:
    """Drawn squares by kind: glass, fat, stroma, ducts."""
    brushes: dict[str, tuple[Any, int]] = {
        "glass": (lambda canvas, rng: None, 2),
        "fat": (fat, 2),
        "stroma": (scenes.fibrous, 3),
        "duct": (scenes.duct, 3),
    }
    squares: dict[str, list[Pixels]] = {}
    for kind, (brush, count) in brushes.items():
        squares[kind] = []
        for _ in range(count):
            canvas = Canvas.blank(SQUARE, SQUARE, CARD.microns_per_pixel)
            brush(canvas, rng)
            squares[kind].append(photograph(canvas, rng, stain, 0.6))
    return squares


def draw_slide(
    rng: Rng, stain: Stain, squares: dict[str, list[Pixels]], size: int
) -> tuple[Pixels, list[npt.NDArray[np.float64]]]:
    """A slide (S, S, 3) with a margin of glass, and its lesions' outlines, (N, 2) x and y in px."""
    count = size // SQUARE
    slide = np.empty((size, size, 3), np.uint8)
    for row, column in np.ndindex(count, count):
        at_border = row in (0, count - 1) or column in (0, count - 1)
        chance = float(rng.random())
        kind = "glass" if at_border else "fat" if chance < 0.2 else "stroma" if chance < 0.6 else "duct"
        square = squares[kind][int(rng.random() * len(squares[kind]))]
        square = np.rot90(square, int(rng.random() * 4))
        if rng.random() < 0.5:
            square = square[:, ::-1]
        slide[row * SQUARE : (row + 1) * SQUARE, column * SQUARE : (column + 1) * SQUARE] = square
    places = [(row, column) for row in range(1, count - 2, 2) for column in range(1, count - 2, 2)]
    order = np.argsort(rng.random(len(places)))
    outlines = []
    for index in order[: max(1, len(places) // 4)]:
        y, x = (SQUARE * place for place in places[index])
        canvas = Canvas.blank(LESION, LESION, CARD.microns_per_pixel)
        outline = hyperplasia(canvas, rng, CORNERS)
        slide[y : y + LESION, x : x + LESION] = photograph(canvas, rng, stain, 0.6)
        outlines.append(np.floor(outline * 100 + 0.5) / 100 + (x, y))
    return slide, outlines


def write_slide(path: Path, pixels: Pixels) -> None:
    """Write a tiled pyramid as Aperio's scanners do: JPEG, magnification and µm/px in the description of each level."""
    import tifffile

    height, width = pixels.shape[:2]
    with tifffile.TiffWriter(path) as tiff:
        for level, step in enumerate(LEVELS):
            small = pixels[: height // step * step, : width // step * step].astype(np.uint32)
            small = small.reshape(height // step, step, width // step, step, 3).sum(axis=(1, 3)) // (step * step)
            tiff.write(
                small.astype(np.uint8),
                tile=(TILE, TILE),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 90},
                description=f"Aperio Image Library (drawn by Lobule)\r\n{width}x{height} ({TILE}x{TILE}) JPEG"
                f"|AppMag = {10 / CARD.microns_per_pixel:.0f}|MPP = {CARD.microns_per_pixel:.4f}",
                resolution=(1e4 / CARD.microns_per_pixel / step, 1e4 / CARD.microns_per_pixel / step),
                resolutionunit="CENTIMETER",
                subfiletype=int(level > 0),
                metadata=None,
                software=False,
            )


def qupath(outlines: list[npt.NDArray[np.float64]], size: int, number: int) -> Any:
    """The lesions as QuPath writes them: a FeatureCollection, on odd slides a bare list, with things to be ignored."""

    def feature(kind: str, coordinates: Any, title: str | None) -> dict[str, Any]:
        properties: dict[str, Any] = {"objectType": "annotation"}
        if title:
            properties["classification"] = {"name": title, "color": [200, 0, 0]}
        geometry = {"type": kind, "coordinates": coordinates}
        return {"type": "Feature", "id": f"{number}", "geometry": geometry, "properties": properties}

    rings = [[*map(list, outline.tolist()), outline[0].tolist()] for outline in outlines]
    low, high = SQUARE, size - SQUARE
    tissue = [[low, low], [high, low], [high, high], [low, high], [low, low]]
    features = [feature("Polygon", [tissue], "Tissue"), feature("Polygon", [rings[0]], "UDH")]
    if len(rings) > 1:
        features.append(feature("MultiPolygon", [[ring] for ring in rings[1:]], "UDH"))
    x, y = outlines[0].min(axis=0).tolist()
    normal = [[x - 40, y - 40], [x + 60, y - 40], [x + 60, y + 60], [x - 40, y + 60], [x - 40, y - 40]]
    features.insert(1, feature("Polygon", [normal], "N"))  # beneath the first lesion, which covers it in part
    features.append(feature("Point", [x, y], None))
    return features if number % 2 else {"type": "FeatureCollection", "features": features}
