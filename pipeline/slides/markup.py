"""Annotations that ASAP and ImageScope wrote as XML, as the features that QuPath's GeoJSON would have of them.

ASAP: `ASAP_Annotations/Annotations/Annotation`, whose class is its `PartOfGroup`, or its name where it is in no group.
ImageScope: `Annotations/Annotation`, a layer, whose class is its `Name`, or the attribute `Description` that people
write it into; a region of it that is negative is cut out of all others of the layer, an ellipse has the vertices of
its box. Coordinates are px of full resolution in both. Dots, rulers and arrows have no area and are left to be counted.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import shapely
import shapely.geometry
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from pipeline.base.errors import Problem, machine_problem
from pipeline.base.xml import parse_xml

CURE = "export it again from the program that wrote it"
AREAS = {"polygon", "spline", "rectangle"}  # ASAP's types that have an area, in lower case
NO_GROUP = {"", "none"}
ELLIPSE, OUTLINES = "2", {"0", "1", "2"}  # ImageScope's types of a region: drawn freehand, rectangle, ellipse
ROUND = 360  # corners of an ellipse
Ring = list[tuple[float, float]]


def read_markup(path: Path) -> Iterator[dict[str, Any]]:
    """The outlines of a file as GeoJSON's features, in its order.

    Raises:
        Problem: it is no whole XML of either program, or a corner has no place.
    """
    try:
        root = parse_xml(path.read_bytes())
    except (ParseError, ValueError, LookupError) as error:
        what = "is no whole XML" if path.stat().st_size else "is empty"
        raise Problem(f"{path} {what} ({error}); {CURE}.") from None
    except OSError as error:
        said = f"{path} cannot be read ({error.strerror}); mend that and run again."
        raise (machine_problem(path, error) or Problem(said)) from None
    readers = {"ASAP_Annotations": _asap, "Annotations": _imagescope}
    if root.tag not in readers:
        raise Problem(f"{path} is neither of ASAP nor of ImageScope: it holds {root.tag[:80]!r}; {CURE}.")
    try:
        yield from readers[root.tag](root)
    except (ValueError, LookupError, ShapelyError) as error:
        raise Problem(f"{path}: an outline has a corner without a place ({error}; X and Y in px); {CURE}.") from None


def _asap(root: Element) -> Iterator[dict[str, Any]]:
    for one in root.iterfind("Annotations/Annotation"):
        group, kind = one.get("PartOfGroup", "").strip(), one.get("Type", "")
        name = one.get("Name", "") if group.lower() in NO_GROUP else group
        placed = sorted(one.iterfind("Coordinates/Coordinate"), key=lambda corner: float(corner.get("Order", "0")))
        if kind.lower() in AREAS:
            yield _feature(name, "Polygon", [_ring(placed)])
        else:
            yield _feature(name, kind or "none", [])


def _imagescope(root: Element) -> Iterator[dict[str, Any]]:
    for layer in root.iterfind("Annotation"):
        name = layer.get("Name", "").strip() or _described(layer)
        regions = [(region, region.get("Type", "0")) for region in layer.iterfind("Regions/Region")]
        rings = {id(region): _outline(region, kind) for region, kind in regions if kind in OUTLINES}
        holes = [rings[id(region)] for region, kind in regions if kind in OUTLINES and _negative(region)]
        for region, kind in regions:
            if kind not in OUTLINES:
                yield _feature(name, f"ImageScope's type {kind}", [])
            elif not _negative(region):
                yield _cut(_feature(name, "Polygon", [rings[id(region)]]), holes)


def _described(layer: Element) -> str:
    """The class of a layer without a name: what stands in the attribute that people write it into."""
    attributes = list(layer.iterfind("Attributes/Attribute"))
    found = next((one for one in attributes if one.get("Name") == "Description"), attributes[0] if attributes else None)
    return "" if found is None else found.get("Value", "").strip() or found.get("Name", "").strip()


def _negative(region: Element) -> bool:
    return region.get("NegativeROA") == "1"


def _outline(region: Element, kind: str) -> Ring:
    ring = _ring(list(region.iterfind("Vertices/Vertex")))
    if kind != ELLIPSE or not ring:
        return ring
    x, y = zip(*ring, strict=True)
    centre, radii = (min(x) + max(x), min(y) + max(y)), (max(x) - min(x), max(y) - min(y))
    angles = [2 * math.pi * number / ROUND for number in range(ROUND)]
    return [((centre[0] + radii[0] * math.cos(a)) / 2, (centre[1] + radii[1] * math.sin(a)) / 2) for a in angles]


def _ring(corners: Sequence[Element]) -> Ring:
    return [
        (float(corner.attrib["X"].replace(",", ".")), float(corner.attrib["Y"].replace(",", "."))) for corner in corners
    ]


def _cut(feature: dict[str, Any], holes: Sequence[Ring]) -> dict[str, Any]:
    """A feature without what other rings hold of it; as it is where they hold nothing."""
    (ring,) = feature["geometry"]["coordinates"]
    whole = [_area(each) for each in (ring, *holes) if len(each) > 2]
    if len(ring) < 3 or not any(whole[0].intersects(hole) for hole in whole[1:]):
        return feature
    return feature | {"geometry": shapely.geometry.mapping(whole[0].difference(shapely.union_all(whole[1:])))}


def _area(ring: Ring) -> BaseGeometry:
    return shapely.make_valid(shapely.Polygon(ring), method="structure", keep_collapsed=False)


def _feature(name: str, kind: str, coordinates: list[Ring]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"classification": {"name": name.strip()} if name.strip() else None},
    }
