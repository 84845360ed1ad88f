"""Whole slides of one's own: class maps to the pixel, every file accounted for, wrong files refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import shapely.geometry
import tifffile

from pipeline.base.errors import Problem
from pipeline.base.params import Slides
from pipeline.base.schema import parse
from pipeline.datasets.slides.card import card
from pipeline.datasets.slides.reader import reader
from pipeline.tiles.store import IGNORE, Tile
from tests.own import slides as drawn
from tests.slide_files import box, feature, write_features, write_tiff
from tests.slides.markup_files import write_asap, write_imagescope

BASE: dict[str, Any] = {
    "slides": ".",
    "annotations": ".",
    "classes": {"background": "none", "tumor": "Tumor", "stroma": "Loose stroma | fat"},
    "not_outlined": "background",
    "region_class": "none",
    "patient_table": "none",
    "patient_pattern": "none",
    "unpaired": "refuse",
    "tiling": {"tile_size": 128, "stride": 128, "microns_per_pixel": 0.5, "at_least": 100},
}


def settings(**changes: Any) -> Slides:
    return parse(Slides, BASE | changes, "params.yaml")


def tiles(folder: Path, **changes: Any) -> list[Tile]:
    found = []
    for part in reader(settings(**changes)).find(folder):
        found += list(part.tiles())
        part.close()
    return found


def painted(boxes: drawn.Boxes, codes: dict[str, int], elsewhere: int = 0, region: bool = False) -> Any:
    """The class map of a whole slide, painted box by box, (SIDE, SIDE)."""
    found = np.full((drawn.SIDE, drawn.SIDE), elsewhere, np.uint8)
    for name, (left, top, right, bottom) in sorted(boxes, key=lambda each: codes.get(each[0], 9) != 0):
        if name in codes:
            found[top:bottom, left:right] = codes[name]
    for _, (left, top, right, bottom) in [each for each in boxes if each[0] == drawn.REGION and region]:
        outside = np.ones(found.shape, bool)
        outside[top:bottom, left:right] = False
        found[outside] = IGNORE
    return found


@pytest.mark.parametrize(
    ("changes", "codes", "elsewhere", "region"),
    [
        ({}, {"Tumor": 1, "Loose stroma": 2}, 0, False),
        ({"region_class": "REGION"}, {"Tumor": 1, "Loose stroma": 2}, 0, True),
        ({"classes": {"stroma": "loose stroma", "tumor": "tumor"}, "not_outlined": "ignore"},
         {"Loose stroma": 0, "Tumor": 1}, IGNORE, False),
        ({"classes": {"stroma": "loose stroma", "tumor": "tumor"}, "not_outlined": "ignore", "region_class": "Region"},
         {"Loose stroma": 0, "Tumor": 1}, IGNORE, True),
    ],
    ids=["all else is background", "regions", "all else is ignored", "both"],
)  # fmt: skip
def test_class_maps_are_what_was_outlined(
    tmp_path: Path, changes: Any, codes: dict[str, int], elsewhere: int, region: bool
) -> None:
    truths = drawn.draw(tmp_path, slides=3, region=True)
    found = tiles(tmp_path, **changes)
    expected = {name: painted(boxes, codes, elsewhere, region) for name, boxes in truths.items()}
    for tile in found:
        here = np.s_[tile.y : tile.y + 128, tile.x : tile.x + 128]
        np.testing.assert_array_equal(tile.class_map, expected[tile.slide][here])
        np.testing.assert_array_equal(tile.image, tifffile.imread(tmp_path / f"{tile.slide}.tif")[here])
        assert tile.bits is not None and not tile.instance_map.any() and tile.patient == ""
    places = {(tile.slide, tile.x, tile.y) for tile in found}
    for name, whole in expected.items():  # of what counts nothing is left out
        for row, column in np.ndindex(4, 4):
            counts = (whole[row * 128 :, column * 128 :][:128, :128] != IGNORE).any()
            assert ((name, column * 128, row * 128) in places) == counts


def test_outlines_of_three_programs_and_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truths = drawn.draw(tmp_path / "slides", slides=3)
    (tmp_path / "notes").mkdir()
    for name in truths:
        shutil.move(tmp_path / f"slides/{name}.geojson", tmp_path / "notes")
    expected = {(t.slide, t.x, t.y): t.class_map for t in tiles(tmp_path, slides="slides", annotations="notes")}
    (tmp_path / "notes/S0_a.geojson").unlink()
    (tmp_path / "notes/S1_a.geojson").unlink()
    write_asap(tmp_path / "notes/S0_a.xml", *[(name, box(*place)) for name, place in truths["S0_a"]])
    write_imagescope(tmp_path / "notes/S1_a.xml", *[(name, box(*place)) for name, place in truths["S1_a"]])
    (tmp_path / "notes/S1_a.qpdata").touch()
    capsys.readouterr()
    for tile in tiles(tmp_path, slides="slides", annotations="notes"):
        np.testing.assert_array_equal(tile.class_map, expected[tile.slide, tile.x, tile.y])
    said = capsys.readouterr().out
    assert f"{tmp_path / 'slides'}: found 3 files = used 3 + left out 0" in said
    assert "notes: found 4 files = used 3 + left out 1 (QuPath's own data, of which the export is read: 1" in said


def test_thirty_classes_and_slides_of_no_overlap(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", drawn.scene(0)[0], 0.5)
    places = [feature("Polygon", [box(16 * n, 0, 16 * n + 16, 128)], f"c{n}") for n in range(1, 31)]
    write_features(tmp_path / "a.geojson", *places)
    classes = {"background": "none"} | {f"c{n}": f"c{n}" for n in range(1, 31)}
    found = {tile.x: tile for tile in tiles(tmp_path, classes=classes) if tile.y == 0}
    for tile in found.values():
        columns = (tile.x + np.arange(128)) // 16
        np.testing.assert_array_equal(tile.class_map, np.broadcast_to(np.where(columns < 31, columns, 0), (128, 128)))
        assert tile.bits is None
    assert card("mine", settings(classes=classes)).classes == tuple(classes)


def test_patients_of_a_table_and_a_pattern(tmp_path: Path) -> None:
    drawn.draw(tmp_path, slides=3)
    assert {tile.patient for tile in tiles(tmp_path, patient_pattern=r"^(S\d)_")} == {"S0", "S1", "S2"}
    (tmp_path / "who.csv").write_text("WSI Filename,Patient Id\nS0_a.tif,p1\nS1_a.svs,p1\nS2_a,p2\n")
    found = tiles(tmp_path, patient_table="who.csv")
    assert {(tile.slide, tile.patient) for tile in found} == {("S0_a", "p1"), ("S1_a", "p1"), ("S2_a", "p2")}
    (tmp_path / "who.csv").write_text("slide,patient\nS0_a,p1\nS1_a,p1\n")
    with pytest.raises(Problem, match=r"who.csv does not tell the patient of S2_a; add a row for each\."):
        tiles(tmp_path, patient_table="who.csv")


def test_halves_are_refused_or_left_out_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn.draw(tmp_path, slides=4)
    (tmp_path / "S1_a.geojson").unlink()
    (tmp_path / "S2_a.tif").unlink()
    parts = reader(settings()).find(tmp_path)
    problems = []
    for part in parts:
        try:
            assert list(part.tiles())
        except Problem as problem:
            problems.append(str(problem))
    assert len(parts) == 4 and len(problems) == 2
    assert "S1_a.tif has no annotation S1_a.geojson" in problems[0] and "--skip-unpaired" in problems[0]
    assert "S2_a.geojson is an annotation without a slide S2_a.svs; add it or move it away." in problems[1]
    capsys.readouterr()
    assert {tile.slide for tile in tiles(tmp_path, unpaired="skip")} == {"S0_a", "S3_a"}
    assert "found 6 files = used 4 + left out 2 (without the other half: 2, " in capsys.readouterr().out
    write_asap(tmp_path / "S0_a.xml", ("Tumor", box(0, 0, 9, 9)))
    with pytest.raises(
        Problem, match=r"S0_a.geojson and .*S0_a.xml are both annotations of S0_a; move one of them away"
    ):
        tiles(tmp_path, unpaired="skip")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": {"background": "none", "a": "none"}}, "gives the class a no name in annotations"),
        ({"not_outlined": "ignore"}, "ignores what is not outlined, and no outline is of the first class, background"),
        ({"classes": {"b": "none", "a": "x", "c": "y | X"}}, "has outlines of 'x' be a and c; give each one meaning"),
        ({"region_class": "tumor"}, "has outlines of 'tumor' be regions and tumor"),
    ],
)
def test_classes_that_mean_two_things(changes: Any, words: str) -> None:
    with pytest.raises(Problem, match=words):
        settings(**changes)


def test_a_folder_without_slides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_features(tmp_path / "a.geojson")
    with pytest.raises(Problem, match=r"holds no slide .*; give the folder in which they lie\."):
        tiles(tmp_path)
    assert "found 1 files = used 0 + left out 1 (without the other half: 1, a.geojson)" in capsys.readouterr().out


@pytest.mark.real
def test_a_real_slide_with_a_real_annotation(real_data: Path) -> None:
    classes = {"background": "none", "tissue": "Tissue"}
    found = tiles(real_data / "wsi", classes=classes, tiling=BASE["tiling"] | {"at_least": 1000})
    text = json.loads((real_data / "wsi/CMU-1-Small-Region.geojson").read_text())
    (outline,) = [shapely.geometry.shape(each["geometry"]) for each in text["features"]]
    for tile in found:
        x, y = np.meshgrid(tile.x + np.arange(128) + 0.5, tile.y + np.arange(128) + 0.5)
        expected = np.where((x < 2220) & (y < 2967), shapely.contains_xy(outline, x, y), IGNORE)
        line = shapely.distance(shapely.points(x, y), outline.boundary) < 1e-9  # whose centres are of neither side
        np.testing.assert_array_equal(tile.class_map[~line], expected[~line])
    assert len(found) > 100
