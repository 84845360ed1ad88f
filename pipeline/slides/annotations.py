"""Annotations as QuPath, ASAP and ImageScope export them: from outlines on a slide to the class maps of its tiles.

Coordinates are in px of the slide's full resolution. A pixel of a tile belongs where its centre lies
(pipeline/slides/polygons.py). Where outlines of several classes overlap, the class map takes the later one in the file,
but for those of the background, which give way to all; and the bit map keeps all: bit 0 is class 1, bit 1 class 2, and
so on. Where regions of interest are outlined, nothing outside of them counts.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.base.errors import Problem
from pipeline.slides.geojson import CURE, read_features
from pipeline.slides.markup import read_markup
from pipeline.slides.polygons import Ring, rasterise, window
from pipeline.slides.slide import Grid
from pipeline.tiles.store import IGNORE

FARTHEST = 2.0**31  # px; no slide reaches there, and beyond it sums of coordinates lose their fractions
MOST_NAMED = 10  # kinds of things left out that are told one by one
BACKGROUND, REGION = 0, -1  # codes of outlines that are of no lesion: of the first class, of where all was annotated
IN_A_BYTE = 8  # classes that a bit map holds in a byte a pixel, as the tile store has it
Map = npt.NDArray[np.uint8]  # (H, W)
Bits = npt.NDArray[np.unsignedinteger[Any]]  # (H, W)
Position = tuple[int, int]  # column and row in the grid


@dataclass
class Annotations:
    """The outlines of a slide that are of a wanted class, in the order of the file, and what became of the rest."""

    path: Path
    shapes: list[BaseGeometry] = field(default_factory=list)  # Polygon or MultiPolygon, valid; the background's first
    codes: list[int] = field(default_factory=list)  # class codes, one a shape
    regions: list[BaseGeometry] | None = None  # outside of which nothing counts; None: everything does
    elsewhere: int = BACKGROUND  # class code of what no outline holds; IGNORE where nobody knows it
    most: int = IN_A_BYTE  # largest class code that there can be
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
        for shape in (*self.shapes, *(self.regions or [])):
            left, top, right, bottom = shape.bounds
            if right <= 0 or bottom <= 0 or left >= width or top >= height:
                raise Problem(
                    f"{self.path} has an outline around x {(left + right) / 2:.0f}, y {(top + bottom) / 2:.0f}, but its"
                    f" slide has {width} x {height} px, so it was drawn on another one; {CURE}."
                )
            self.clipped += left < 0 or top < 0 or right > width or bottom > height

    def tiles(self, grid: Grid) -> dict[Position, list[int]]:
        """Which shapes each tile meets (their numbers, ascending), by column and row, row after row."""
        return _met(grid, self.shapes)

    def counts(self, grid: Grid) -> set[Position] | None:
        """The tiles of which something may count, by column and row; None for all."""
        found = None if self.regions is None else {*_met(grid, self.regions)}
        if self.elsewhere == BACKGROUND:
            return found
        outlined = {*self.tiles(grid)}
        return outlined if found is None else outlined & found

    def draw(self, grid: Grid, position: Position, shapes: list[int]) -> tuple[Map, Bits, int]:
        """Class map and bit map of a tile, each (S, S), and the number of pixels that several classes claim.

        Beyond the slide's border and the regions the class map is IGNORE, and no class claims anything.
        """
        size, corner = grid.tile_size, np.array(grid.corner(*position), np.float64)
        kind = np.dtype(np.uint8 if self.most <= IN_A_BYTE else np.uint64).type
        classes, bits = np.full((size, size), self.elsewhere, np.uint8), np.zeros((size, size), kind)
        for number in shapes:
            rings = [(ring - corner) / grid.downsample for ring in rings_of(self.shapes[number])]
            rows, columns = window(rings, size, size)
            inside = rasterise(rings, rows, columns)
            np.copyto(classes[rows, columns], self.codes[number], where=inside)
            if self.codes[number] != BACKGROUND:
                bits[rows, columns] |= inside.astype(kind) << kind(self.codes[number] - 1)
        width, height = grid.inside(*position)
        beyond = self._outside(grid, corner)
        beyond[height:], beyond[:, width:] = True, True
        classes[beyond], bits[beyond] = IGNORE, 0
        return classes, bits, int(np.count_nonzero(bits & (bits - kind(1)))) if shapes else 0

    def _outside(self, grid: Grid, corner: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """What of a tile lies outside of the regions, (S, S)."""
        size = grid.tile_size
        outside = np.full((size, size), self.regions is not None)
        box = shapely.box(*corner, *(corner + size * grid.downsample))
        for number in self._index.query(box) if self.regions else ():
            rings = [(ring - corner) / grid.downsample for ring in rings_of((self.regions or [])[number])]
            rows, columns = window(rings, size, size)
            outside[rows, columns] &= ~rasterise(rings, rows, columns)
        return outside

    @cached_property
    def _index(self) -> shapely.STRtree:
        return shapely.STRtree(np.array(self.regions, object))

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
        if self.regions == []:
            notes.append("WARNING: nothing of it counts, since it outlines no region")
        elif not self.shapes and not self.regions:
            none = f"none of its {self.features:,} features is an outline of a known class"
            notes.append(f"WARNING: nothing of it is used, since {none if self.features else 'it holds no feature'}")
        return notes


def _met(grid: Grid, shapes: list[BaseGeometry]) -> dict[Position, list[int]]:
    """Which shapes each tile meets (their numbers, ascending), by column and row, row after row.

    The tiles are in a spatial index that is asked for each shape, so that time follows what is annotated.
    """
    positions = [(column, row) for row in range(grid.rows) for column in range(grid.columns)]
    corners = np.array([grid.corner(*position) for position in positions], np.float64)
    size = grid.tile_size * grid.downsample
    boxes = shapely.box(*corners.T, *(corners + size).T)
    shape, tile = shapely.STRtree(boxes).query(np.array(shapes, object), predicate="intersects")
    found: dict[Position, list[int]] = {}
    for index in np.lexsort((shape, tile)):
        found.setdefault(positions[tile[index]], []).append(int(shape[index]))
    return found


def read_annotations(path: Path, codes: Mapping[str, int], elsewhere: int = BACKGROUND) -> Annotations:
    """The outlines of the classes in `codes` (lower-case name -> class code, or REGION); everything else is counted.

    `elsewhere` is the code of what nobody outlined: BACKGROUND or IGNORE.

    Raises:
        Problem: the file is empty, cut off or of no known program, or an outline's corners are no numbers.
    """
    found = Annotations(path, regions=[] if REGION in codes.values() else None, elsewhere=elsewhere)
    found.most = max(found.most, *codes.values())
    for number, feature in enumerate(features_of(path), start=1):
        try:
            for one in family(feature):
                _add(found, one, codes)
        except (ValueError, TypeError, LookupError, OverflowError, shapely.errors.ShapelyError) as error:
            said = " ".join(str(error).split())
            raise Problem(f"{path}: the outline of feature {number} cannot be read ({said}); {CURE}.") from None
    order = sorted(range(len(found.codes)), key=lambda place: found.codes[place] != BACKGROUND)
    found.shapes, found.codes = [found.shapes[place] for place in order], [found.codes[place] for place in order]
    return found


def features_of(path: Path) -> Iterator[dict[str, Any]]:
    """The features of an annotation, whichever program wrote it.

    Raises:
        Problem: the file is empty, cut off or of no known program.
    """
    return read_markup(path) if path.suffix.lower() == ".xml" else read_features(path)


def family(feature: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
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
    if code == REGION:
        assert found.regions is not None
        found.regions.append(shape)
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
