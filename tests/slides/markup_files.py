"""Annotations as ASAP and ImageScope write them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

Outline = tuple[str, Sequence[Sequence[float]]]  # class, corners


def write_asap(path: Path, *outlines: Outline, kind: str = "Polygon") -> Path:
    """Outlines in ASAP's XML, each in the group of its class."""
    shapes = "".join(
        f'<Annotation Name="Annotation {number}" Type="{kind}" PartOfGroup={quoteattr(name)}><Coordinates>'
        + "".join(f'<Coordinate Order="{place}" X="{x}" Y="{y}" />' for place, (x, y) in enumerate(ring))
        + "</Coordinates></Annotation>"
        for number, (name, ring) in enumerate(outlines)
    )
    groups = "".join(f'<Group Name={quoteattr(name)} PartOfGroup="None"/>' for name in {name for name, _ in outlines})
    return _write(
        path,
        f"<ASAP_Annotations><Annotations>{shapes}</Annotations><AnnotationGroups>{groups}</AnnotationGroups>"
        "</ASAP_Annotations>",
    )


def write_imagescope(path: Path, *regions: Any) -> Path:
    """Regions (class, corners, type, whether it is negative) in ImageScope's XML, a layer for each class."""
    layers: dict[str, list[str]] = {}
    for number, (name, ring, *more) in enumerate(regions, start=1):
        kind, negative = (*more, *(0, False)[len(more) :])
        corners = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in ring)
        layers.setdefault(name, []).append(
            f'<Region Id="{number}" Type="{kind}" NegativeROA="{int(negative)}"><Vertices>{corners}</Vertices></Region>'
        )
    text = "".join(
        f'<Annotation Id="{number}" Name={quoteattr(name)} LineColor="65280"><Regions>{"".join(regions)}</Regions>'
        "</Annotation>"
        for number, (name, regions) in enumerate(layers.items(), start=1)
    )
    return _write(path, f'<Annotations MicronsPerPixel="0.25">{text}</Annotations>')


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>{text}', encoding="utf-8")
    return path
