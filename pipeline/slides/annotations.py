"""Annotations that QuPath exported as GeoJSON: from outlines on a slide to the class maps of its tiles.

Coordinates are in px of the slide's full resolution. A pixel of a tile belongs where its centre lies
(pipeline/slides/polygons.py). Where outlines of several classes overlap, the class map takes the later one in the file,
and the bit map keeps all: bit 0 is class 1, bit 1 class 2, and so on.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.base.errors import Problem
from pipeline.slides.geojson import CURE, read_features
from pipeline.slides.polygons import Ring, rasterise, window
from pipeline.slides.slide import Grid
from pipeline.tiles.store import IGNORE

FARTHEST = 2.0**31  # px; no slide reaches there, and beyond it sums of coordinates lose their fractions
MOST_NAMED = 10  # kinds of things left out that are told one by one
Map = npt.NDArray[np.uint8]  # (H, W)
Position = tuple[int, int]  # column and row in the grid


@dataclass
class Annotations:
    """The outlines of a slide that are of a wanted class, in the order of the file, and what became of the rest."""

    path: Path
    shapes: list[BaseGeometry] = field(default_factory=list)  # Polygon or MultiPolygon, valid
    codes: list[int] = field(default_factory=list)  # class codes, one a shape
    features: int = 0  # in the file, those within others included
    left_out: Counter[str] = field(default_factory=Counter)  # what -> how many
    repaired: int = 0  # shapes that crossed or touched themselves
    clipped: int = 0  # shapes that reach beyond the slide

    def check_place(self, width: int, height: int) -> None:
        """Refuse shapes that lie wholly off the slide, and count those that do in part.

        Raises:
            Problem: a shape does not touch the slide at all, so it was drawn on another one.
        """
        self.clipped = 0
        for shape in self.shapes:
            left, top, right, bottom = shape.bounds
            if right <= 0 or bottom <= 0 or left >= width or top >= height:
                raise Problem(
                    f"{self.path} has an outline around x {(left + right) / 2:.0f}, y {(top + bottom) / 2:.0f}, but its"
                    f" slide has {width} x {height} px, so it was drawn on another one; {CURE}."
                )
            self.clipped += left < 0 or top < 0 or right > width or bottom > height

    def tiles(self, grid: Grid) -> dict[Position, list[int]]:
        """Which shapes each tile meets (their numbers, ascending), by column and row, row after row.

        The tiles are in a spatial index that is asked for each shape, so that time follows what is annotated.
        """
        positions = [(column, row) for row in range(grid.rows) for column in range(grid.columns)]
        corners = np.array([grid.corner(*position) for position in positions], np.float64)
        size = grid.tile_size * grid.downsample
        boxes = shapely.box(*corners.T, *(corners + size).T)
        shape, tile = shapely.STRtree(boxes).query(np.array(self.shapes, object), predicate="intersects")
        shapes: dict[Position, list[int]] = {}
        for index in np.lexsort((shape, tile)):
            shapes.setdefault(positions[tile[index]], []).append(int(shape[index]))
        return shapes

    def draw(self, grid: Grid, position: Position, shapes: list[int]) -> tuple[Map, Map, int]:
        """Class map and bit map of a tile, each (S, S), and the number of pixels that several classes claim.

        Beyond the slide's border the class map is IGNORE, and no class claims anything.
        """
        size, corner = grid.tile_size, np.array(grid.corner(*position), np.float64)
        classes, bits = np.zeros((size, size), np.uint8), np.zeros((size, size), np.uint8)
        for number in shapes:
            rings = [(ring - corner) / grid.downsample for ring in rings_of(self.shapes[number])]
            rows, columns = window(rings, size, size)
            inside = rasterise(rings, rows, columns)
            np.copyto(classes[rows, columns], self.codes[number], where=inside)
            bits[rows, columns] |= inside.view(np.uint8) << (self.codes[number] - 1)
        width, height = grid.inside(*position)
        classes[height:], classes[:, width:] = IGNORE, IGNORE
        bits[height:], bits[:, width:] = 0, 0
        return classes, bits, int(np.count_nonzero(bits & (bits - np.uint8(1)))) if shapes else 0

    def notes(self) -> list[str]:
        """What was left out, repaired or clipped, and how much; a clause each. The last says where nothing is used."""
        told = self.left_out.most_common(MOST_NAMED)
        notes = [f"{count:,} {what} left out" for what, count in sorted(told) if count]
        if rest := self.left_out.total() - sum(count for _, count in told):
            notes.append(f"{rest:,} of {len(self.left_out) - len(told):,} other kinds left out")
        if self.repaired:
            notes.append(f"{self.repaired:,} self-crossing outlines repaired")
        if self.clipped:
            notes.append(f"{self.clipped:,} outlines clipped at the slide's border")
        if not self.shapes:
            none = f"none of its {self.features:,} features is an outline of a known class"
            notes.append(f"WARNING: nothing of it is used, since {none if self.features else 'it holds no feature'}")
        return notes


def read_annotations(path: Path, codes: Mapping[str, int]) -> Annotations:
    """The outlines of the classes in `codes` (lower-case name -> class code); everything else is counted.

    Raises:
        Problem: the file is empty, cut off or no GeoJSON, or an outline's corners are no numbers.
    """
    found = Annotations(path)
    for number, feature in enumerate(read_features(path), start=1):
        try:
            for one in _family(feature):
                _add(found, one, codes)
        except (ValueError, TypeError, LookupError, OverflowError, shapely.errors.ShapelyError) as error:
            said = " ".join(str(error).split())
            raise Problem(f"{path}: the outline of feature {number} cannot be read ({said}); {CURE}.") from None
    return found


def _family(feature: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A feature and those within it, which QuPath may write as its `childObjects`; before them what they lie in."""
    waiting = [feature]
    while waiting:
        one = waiting.pop()
        yield one
        for place in (one, one.get("properties")):
            children = _parsed(place.get("childObjects")) if isinstance(place, Mapping) else None
            if not isinstance(children, list):
                continue
            if not all(isinstance(child, Mapping) for child in children):
                raise ValueError("one of its childObjects is no Feature")
            waiting.extend(reversed(children))


def _add(found: Annotations, feature: Mapping[str, Any], codes: Mapping[str, int]) -> None:
    """Add a feature's outline, or count it where it has none of a wanted class."""
    found.features += 1
    names = class_names(feature)
    code = next((codes[name.strip().lower()] for name in names if name.strip().lower() in codes), None)
    if code is None:
        found.left_out[f"features of class {names[0][:80]!r}" if names else "features without a class"] += 1
        return
    parts: list[BaseGeometry] = []
    others = False
    for geometry in _simple_geometries(feature.get("geometry")):
        kind = str(geometry.get("type"))
        if kind == "Polygon":
            parts += _polygon(geometry["coordinates"])
        else:
            found.left_out[f"geometries of kind {kind[:80]}"] += 1
            others = True
    shape = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    if not shape.is_valid:
        shape = _areas(shapely.make_valid(shape, method="structure", keep_collapsed=False))
        found.repaired += 1
    if shape.is_empty:
        found.left_out["features without an area"] += not others
        return
    found.shapes.append(shape)
    found.codes.append(code)


def _parsed(value: Any) -> Any:
    """A value that was written as text, as older versions of QuPath and other programs do; any other as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def class_names(feature: Mapping[str, Any]) -> list[str]:
    """What a feature's class may be called: the whole name, then the parts of a derived one (`UDH: Positive`).

    QuPath writes `{"name": ...}`, since 0.5 `{"names": [...]}` for derived classes, before 0.3 either as text; others
    write the name alone.
    """
    properties = feature.get("properties")
    given = _parsed(properties.get("classification")) if isinstance(properties, Mapping) else None
    if isinstance(given, Mapping):
        given = given.get("name") or given.get("names")
    if isinstance(given, list):
        given = ": ".join(str(name) for name in given)
    if not isinstance(given, str) or not given.strip():
        return []
    parts = given.split(": ")
    return [given, *parts] if len(parts) > 1 else [given]


def rings_of(shape: BaseGeometry) -> list[Ring]:
    """All rings of a Polygon or MultiPolygon, outer and inner, each (N, 2) with its first corner once."""
    polygons = shapely.get_parts(shape)
    return [
        shapely.get_coordinates(ring)[:-1] for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)
    ]


def _simple_geometries(geometry: Any) -> Iterator[dict[str, Any]]:
    """Geometries that are neither collections nor several polygons."""
    waiting = [geometry]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict):
            continue
        if one.get("type") == "GeometryCollection":
            waiting.extend(reversed(one.get("geometries") or []))
        elif one.get("type") == "MultiPolygon":
            waiting.extend({"type": "Polygon", "coordinates": rings} for rings in reversed(one["coordinates"] or []))
        else:
            yield one


def _polygon(coordinates: Any) -> list[BaseGeometry]:
    """A polygon from GeoJSON's rings, without holes that are none; nothing where the outline itself is none."""
    rings = [np.array([corner[:2] for corner in ring], np.float64) for ring in coordinates]
    if any(not np.isfinite(ring).all() for ring in rings):
        raise ValueError("a corner that is no number")
    if any(np.abs(ring).max(initial=0) > FARTHEST for ring in rings):
        raise ValueError("a corner where no slide reaches")
    if not rings or len(rings[0]) < 3:
        return []
    return [shapely.Polygon(rings[0], [ring for ring in rings[1:] if len(ring) >= 3])]


def _areas(shape: BaseGeometry) -> BaseGeometry:
    """The polygons of what a repair left, without its lines and points."""
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
