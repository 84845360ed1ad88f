"""One row a nucleus of a slide, as parquet: what pandas, R, Polars and DuckDB open where GeoJSON is too much."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.applying.results import middle, read_lines
from pipeline.base.files import replacing

ROWS = 16384  # that are in memory at once
SCHEMA = pa.schema(
    [
        ("slide", pa.string()),
        ("id", pa.int64()),  # from 1, in the order of the outlines
        ("class", pa.string()),
        ("probability", pa.float64()),
        ("x", pa.float64()),  # of the middle, px of the slide's full resolution from the corner of its scan
        ("y", pa.float64()),
        ("left", pa.float64()),  # of the box around it, likewise
        ("top", pa.float64()),
        ("right", pa.float64()),
        ("bottom", pa.float64()),
        ("area_um2", pa.float64()),
    ]
)


def write_nuclei(path: Path, name: str, outlined: Path, corner: tuple[int, int], microns_per_pixel: float) -> None:
    """A row for each outline of a slide, in their order; memory holds `ROWS` of them.

    Args:
        outlined: what `write_lines` wrote of the same nuclei.
        corner: of the scan, px of the glass; kept with µm/px as metadata, since OpenSlide counts from the glass's.
        microns_per_pixel: of the slide's full resolution.
    """
    told = {"microns_per_pixel": repr(microns_per_pixel), "openslide_corner": json.dumps(corner)}
    schema, rows = SCHEMA.with_metadata(told), _rows(name, outlined)
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        while part := list(islice(rows, ROWS)):
            writer.write_table(pa.Table.from_pylist(part, schema))


def _rows(name: str, outlined: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(read_lines(outlined), start=1):
        feature = json.loads(line)
        properties, (xs, ys) = feature["properties"], zip(*feature["geometry"]["coordinates"][0], strict=True)
        x, y = middle(feature)
        yield {
            "slide": name,
            "id": number,
            "class": properties["classification"]["name"],
            "probability": properties["measurements"]["Probability"],
            "x": round(x, 2),
            "y": round(y, 2),
            "left": min(xs),
            "top": min(ys),
            "right": max(xs),
            "bottom": max(ys),
            "area_um2": properties["measurements"]["Area µm^2"],
        }
