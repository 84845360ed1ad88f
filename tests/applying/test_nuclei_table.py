"""A row a nucleus: the rows say what the outlines say, part after part, in the frame of QuPath."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely

from pipeline.applying.work import apply_to
from tests.applying import drawn
from tests.applying.drawn import Drawn, draw_nuclei, features, task
from tests.slide_files import write_scn


@pytest.mark.parametrize("gzip", [False, True])
def test_rows_are_those_of_the_outlines(tmp_path: Path, gzip: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.applying.nuclei_table.ROWS", 7)
    slide = draw_nuclei(150, 130).write(tmp_path / "slide.tif", 2)
    apply_to(slide, "slide", tmp_path / "plain", task())
    apply_to(slide, "slide", tmp_path / "out", task(parquet=True, gzip=gzip))
    file = pq.ParquetFile(tmp_path / "out/slide.nuclei.parquet")
    told, table = features(tmp_path / "plain/slide.geojson"), file.read().to_pandas()
    assert file.num_row_groups == -(-len(told) // 7) > 2
    assert table["id"].tolist() == list(range(1, len(told) + 1)) and set(table["slide"]) == {"slide"}
    for row, each in zip(table.to_dict("records"), told, strict=True):
        shape = shapely.geometry.shape(each["geometry"])
        assert (row["x"], row["y"]) == pytest.approx(shape.centroid.coords[0], abs=0.006)
        assert (row["left"], row["top"], row["right"], row["bottom"]) == shape.bounds
        assert row["class"] == each["properties"]["classification"]["name"]
        assert row["area_um2"] == pytest.approx(shape.area * 0.25**2, abs=1e-3) and row["probability"] == 1
    assert (
        table["class"].value_counts().to_dict()
        == pd.read_csv(tmp_path / "out/slide.csv").set_index("class")["nuclei"].loc[["tumour", "stroma"]].to_dict()
    )


def test_rows_count_from_the_corner_of_the_scan_and_tell_openslides(tmp_path: Path) -> None:
    truth = Drawn(np.zeros((96, 128), np.uint8), np.zeros((96, 128), np.int32))
    truth.classes[40:50, 60:80], truth.nuclei[40:50, 60:80] = 1, 1
    pixels = drawn.COLOURS[truth.classes].repeat(2, axis=0).repeat(2, axis=1)
    slide = write_scn(tmp_path / "slide.scn", pixels, (300, 200), 2000)
    apply_to(slide, "slide", tmp_path / "out", task(parquet=True))
    file = pq.ParquetFile(tmp_path / "out/slide.nuclei.parquet")
    (row,) = file.read().to_pylist()
    assert (row["x"], row["y"], row["area_um2"]) == (140, 90, 50)
    told = file.schema_arrow.metadata
    assert told[b"openslide_corner"] == b"[300, 200]" and float(told[b"microns_per_pixel"]) == 0.25


def test_a_slide_without_nuclei_has_a_table_without_rows(tmp_path: Path) -> None:
    slide = Drawn(np.zeros((60, 60), np.uint8), np.zeros((60, 60), np.int32)).write(tmp_path / "slide.tif")
    apply_to(slide, "slide", tmp_path / "out", task(parquet=True))
    table = pd.read_parquet(tmp_path / "out/slide.nuclei.parquet")
    assert table.empty and list(table)[:4] == ["slide", "id", "class", "probability"]
