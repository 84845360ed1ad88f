"""What a person gets of a slide: GeoJSON for QuPath, a table of areas and nuclei, a picture."""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from PIL import Image, ImageDraw, ImageFont

from pipeline.applying.cells import SIDE, Cells
from pipeline.applying.field import Field, corners
from pipeline.applying.maps import Look
from pipeline.applying.task import Task
from pipeline.applying.windows import squares
from pipeline.base.files import replacing
from pipeline.base.records import AppliedSlide
from pipeline.reporting.pictures import GAP, LINE, Colour, legend
from pipeline.slides.annotations import rings_of
from pipeline.slides.outlines import without_straight
from pipeline.slides.slide import Grid, Slide
from pipeline.tiles.store import IGNORE

LONGEST = 1600  # px of the picture
JOINED = 3_000_000  # corners of a class's areas at the borders of cells, above which they stay as they were cut
COLUMNS = ["class", "area_mm2", "share", "nuclei", "nuclei_per_mm2"]


def describe_slide(
    slide: Slide,
    name: str,
    field: Field,
    task: Task,
    pixels: Sequence[int],
    nuclei: Sequence[int] | None,
) -> AppliedSlide:
    """What run.json says of a slide, but for the seconds that it took.

    Args:
        pixels: of each class, at the grid's resolution.
        nuclei: of each class; None of areas.
    """
    grid, notes = field.grid, []
    if not (field.has_colour or task.greyscale):
        notes = [f"{slide.path} has no colour, and the model saw colours: what it finds there means little."]
    return AppliedSlide(
        name=name,
        path=str(slide.path),
        bytes=slide.path.stat().st_size,
        width=slide.width,
        height=slide.height,
        microns_per_pixel=slide.microns_per_pixel,
        downsample=grid.downsample,
        tiles=field.tiles,
        square_millimetres=round(sum(pixels) * grid.microns_per_pixel**2 / 1e6, 6),
        nuclei=None if nuclei is None else dict(zip(task.classes, nuclei, strict=True)),
        seconds=0,
        notes=notes,
    )


class Describe:
    """An object as a line of GeoJSON, as QuPath 0.4 and later read it."""

    def __init__(self, classes: Sequence[str], colours: dict[str, Colour], microns_per_pixel: float, kind: str) -> None:
        self.classes, self.colours = classes, colours
        self.square = microns_per_pixel**2  # µm² of a pixel
        self.kind = kind  # what QuPath calls it: detection, annotation or tile

    def __call__(self, code: int, rings: list[Any], pixels: int, probability: float) -> str:
        name = self.classes[code]
        return json.dumps(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": rings},
                "properties": {
                    "objectType": self.kind,
                    "classification": {"name": name, "color": list(self.colours[name])},
                    "measurements": {
                        "Probability": round(float(probability), 4),
                        "Area µm^2": round(pixels * self.square, 3),
                    },
                },
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )


def write_geojson(path: Path, cells: Cells) -> None:
    """All objects of a slide, cell after cell, then the areas that were joined; memory holds those of one cell."""
    write_lines(path, _objects(cells))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """GeoJSON of features that come as text."""
    with replacing(path) as temporary, temporary.open("wb") as raw:
        # Neither time nor name go into the header: same features, same bytes.
        file = gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else raw
        file.write(b'{"type":"FeatureCollection","features":[')
        for number, line in enumerate(lines):
            file.write(b",\n" if number else b"\n")
            file.write(line.encode())
        file.write(b"\n]}\n")
        if file is not raw:
            file.close()


def read_lines(path: Path) -> Iterator[str]:
    """The features, as text, that `write_lines` wrote."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith('{"type":"Feature",'):
                yield line.rstrip(",\n")


def write_points(path: Path, outlined: Path, classes: Sequence[str], colours: dict[str, Colour]) -> None:
    """GeoJSON with one object a class, which is all middles of its nuclei: QuPath opens a million of them at once.

    Args:
        outlined: what `write_lines` wrote of the same nuclei.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"type":"FeatureCollection","features":[')
        begun = False
        for name in classes:
            started = False
            for line in read_lines(outlined):
                feature = json.loads(line)
                if feature["properties"]["classification"]["name"] != name:
                    continue
                if not started:
                    kind = {"objectType": "annotation", "classification": {"name": name, "color": list(colours[name])}}
                    file.write(",\n" if begun else "\n")
                    file.write('{"type":"Feature","properties":' + json.dumps(kind, ensure_ascii=False))
                    file.write(',"geometry":{"type":"MultiPoint","coordinates":[')
                x, y = middle(feature)
                file.write(f"{',' if started else ''}[{x:.2f},{y:.2f}]")
                begun = started = True
            if started:
                file.write("]}}")
        file.write("\n]}\n")


def middle(feature: Any) -> tuple[float, float]:
    """The centroid of an outline, x and y in px of the slide's full resolution."""
    x, y = shapely.Polygon(feature["geometry"]["coordinates"][0]).centroid.coords[0]
    return x, y


def count_nuclei(cells: Cells, classes: int) -> list[int]:
    """How many nuclei of each class a slide has."""
    counts = [0] * classes
    for position in cells.windows:
        with cells.path(position).open(encoding="utf-8") as file:
            for code, count in json.loads(file.readline())["nuclei"].items():
                counts[int(code)] += count
    return counts


def _objects(cells: Cells) -> Iterator[str]:
    pieces: dict[int, list[Any]] = {}
    for position in cells.windows:
        with cells.path(position).open(encoding="utf-8") as file:
            for code, *piece in json.loads(file.readline())["open"]:
                pieces.setdefault(code, []).append(piece)
            for line in file:
                yield line.rstrip("\n")
    for code in sorted(pieces):
        for rings, pixels, summed in _joined(cells.describe.classes[code], pieces[code]):
            yield cells.describe(code, corners(cells.grid, rings), pixels, summed / pixels / 255)


def _joined(name: str, pieces: list[Any]) -> Iterator[tuple[list[npt.NDArray[Any]], int, int]]:
    """The areas that the pieces of one class make; each with its rings, pixels and sum of probabilities."""
    if (found := sum(len(ring) for rings, _, _ in pieces for ring in rings)) > JOINED:
        print(f"areas of {name} have {found:,} corners at the borders of cells of {SIDE} px and stay cut there")
        yield from (([np.array(ring) for ring in rings], pixels, summed) for rings, pixels, summed in pieces)
        return
    shapes = [shapely.Polygon(rings[0], rings[1:]) for rings, _, _ in pieces]
    areas = shapely.get_parts(shapely.union_all(shapes, grid_size=1))
    tree = shapely.STRtree(areas)
    inside = tree.query(shapely.point_on_surface(shapes), predicate="within")
    pixels, summed = np.zeros(len(areas), np.int64), np.zeros(len(areas), np.int64)
    np.add.at(pixels, inside[1], [pieces[number][1] for number in inside[0]])
    np.add.at(summed, inside[1], [pieces[number][2] for number in inside[0]])
    order = sorted(range(len(areas)), key=lambda number: areas[number].bounds)
    for number in order:
        rings = [without_straight(ring).astype(np.int64) for ring in rings_of(areas[number])]
        yield rings, int(pixels[number]), int(summed[number])


def count_pixels(look: Look, grid: Grid, classes: int, side: int) -> npt.NDArray[np.float32]:
    """The share of each class in every square of `side` px of a slide, (C, rows, columns), times side²."""
    shape = -(-grid.height // side), -(-grid.width // side)
    counts = np.zeros((classes, *shape), np.float32)
    for _, window in squares(grid.height, grid.width, side * max(1, 2048 // side)):
        found, _ = look(window)
        rows, columns = np.arange(0, window.height, side), np.arange(0, window.width, side)
        here = (
            slice(window.top // side, window.top // side + len(rows)),
            slice(window.left // side, window.left // side + len(columns)),
        )
        for code in np.unique(found[found != IGNORE]):
            summed = np.add.reduceat((found == code).astype(np.int32), rows, axis=0)
            counts[code, *here] = np.add.reduceat(summed, columns, axis=1)
    return counts


def write_table(
    path: Path, classes: Sequence[str], pixels: Sequence[int], nuclei: Sequence[int] | None, microns_per_pixel: float
) -> None:
    """A row a class: mm² and share of what was looked at; where nuclei were sought, how many, and a mm² of all that."""
    areas = np.array(pixels) * microns_per_pixel**2 / 1e6
    looked_at = areas.sum()
    table = pd.DataFrame(
        {"class": list(classes), "area_mm2": areas, "share": areas / looked_at if looked_at else areas}
    )
    if nuclei is not None:
        table["nuclei"] = nuclei
        table["nuclei_per_mm2"] = np.array(nuclei) / looked_at if looked_at else 0.0
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")


def picture_side(grid: Grid) -> int:
    """px of the model's resolution on one of the picture."""
    return max(1, -(-max(grid.height, grid.width) // LONGEST))


def write_picture(
    path: Path,
    slide: Slide,
    grid: Grid,
    counts: npt.NDArray[np.float32],
    colours: dict[str, Colour],
    background: int | None,
) -> None:
    """The slide, small, tinted by class as far as a class fills each pixel; a legend below."""
    side = picture_side(grid)
    height, width = counts.shape[1:]
    overview = Image.fromarray(slide.overview(max(1, int(side * grid.downsample))))
    image = np.asarray(overview.resize((width, height), Image.Resampling.BOX), np.float32)
    shown = [code for code in range(len(counts)) if code != background]
    tint = np.zeros_like(image)
    for code, colour in enumerate(colours.values()):
        if code in shown:
            tint += counts[code][..., None] * np.array(colour, np.float32)
    filled = counts[shown].sum(axis=0)
    strength = 0.7 * np.sqrt(np.clip(filled / side**2, 0, 1))[..., None]
    mixed = image * (1 - strength) + tint / np.maximum(filled, 1)[..., None] * strength
    entries = {
        name: colour for code, (name, colour) in enumerate(colours.items()) if code in shown and counts[code].any()
    }
    canvas = Image.new("RGB", (max(width, 480), height + GAP + LINE * max(1, len(entries))), "white")
    canvas.paste(Image.fromarray(np.clip(np.rint(mixed), 0, 255).astype(np.uint8)), (0, 0))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=14)
    for line, (name, colour) in enumerate(entries.items()):
        legend(draw, {name: colour}, height + GAP + line * LINE, font)
    with replacing(path) as temporary:
        canvas.save(temporary, "PNG", optimize=True)


def summarise(path: Path, tables: dict[str, Path]) -> None:
    """The tables of all slides below each other."""
    parts = [pd.read_csv(table, dtype=str, keep_default_na=False).assign(slide=name) for name, table in tables.items()]
    summary = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["slide", *COLUMNS])
    with replacing(path) as temporary:
        summary[["slide", *(name for name in COLUMNS if name in summary)]].to_csv(
            temporary, index=False, lineterminator="\n"
        )
