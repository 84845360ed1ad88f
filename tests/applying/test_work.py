"""A slide with known areas and nuclei comes back from its GeoJSON to the pixel, over every border there is."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely

from pipeline.applying.work import apply_to
from pipeline.base.errors import Problem
from tests.applying import drawn
from tests.applying.drawn import Drawn, draw_areas, draw_nuclei, features, read_back, task
from tests.slide_files import box, feature, write_features, write_scn, write_tiff

KINDS = ("geojson", "csv", "png")


def same_nuclei(found: Drawn, truth: Drawn) -> None:
    """Every nucleus is there once, with all of its pixels and its class."""
    assert np.array_equal(found.classes, truth.classes)
    pairs = np.unique(np.stack([found.nuclei, truth.nuclei])[:, truth.nuclei > 0], axis=1)
    names = np.unique(truth.nuclei[truth.nuclei > 0])
    assert pairs.shape[1] == len(names) == len(np.unique(pairs[0])) and pairs[0].min() > 0


@pytest.mark.parametrize("zoom", [1, 2, 4])  # the last is a level of the slide
@pytest.mark.parametrize("method", ["components", "watershed"])
def test_nuclei_come_back_whole_and_once(tmp_path: Path, zoom: int, method: str) -> None:
    truth = draw_nuclei(301, 277)
    slide = truth.write(tmp_path / "slide.tif", zoom)
    found = apply_to(slide, "slide", tmp_path / "out", task(instances=method))
    assert found.downsample == zoom
    same_nuclei(read_back(tmp_path / "out/slide.geojson", slide), truth)
    table = pd.read_csv(tmp_path / "out/slide.csv")
    count = [len(np.unique(truth.nuclei[truth.classes == code])) for code in (1, 2)]
    assert table["nuclei"].tolist() == [0, *count] and found.nuclei == dict(
        zip(drawn.CLASSES, [0, *count], strict=True)
    )
    assert table["area_mm2"].to_numpy() == pytest.approx(np.bincount(truth.classes.ravel()) * 0.25e-6, rel=1e-4)
    assert table["share"].sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("zoom", [1, 2])
def test_areas_come_back_to_the_pixel_and_are_joined_over_borders(tmp_path: Path, zoom: int) -> None:
    from scipy.ndimage import label

    truth = draw_areas(250, 230)
    slide = truth.write(tmp_path / "slide.tif", zoom)
    apply_to(slide, "slide", tmp_path / "out", task(instances=None))
    found = read_back(tmp_path / "out/slide.geojson", slide)
    assert np.array_equal(found.classes, truth.classes)
    assert len(features(tmp_path / "out/slide.geojson")) == sum(label(truth.classes == code)[1] for code in (1, 2))


def test_a_slide_smaller_than_a_tile_is_whole(tmp_path: Path) -> None:
    truth = draw_nuclei(21, 25, count=5)
    slide = truth.write(tmp_path / "slide.tif")
    apply_to(slide, "slide", tmp_path / "out", task())
    same_nuclei(read_back(tmp_path / "out/slide.geojson", slide), truth)


@pytest.mark.parametrize("instances", ["watershed", None])
def test_a_resolution_between_two_levels_gives_valid_outlines_on_the_slide(
    tmp_path: Path, instances: str | None
) -> None:
    pixels = drawn.COLOURS[draw_areas(333, 287).classes]
    slide = write_tiff(tmp_path / "slide.tif", pixels, 0.37)
    found = apply_to(slide, "slide", tmp_path / "out", task(instances=instances))
    assert found.downsample == pytest.approx(0.5 / 0.37)
    shapes = [shapely.geometry.shape(each["geometry"]) for each in features(tmp_path / "out/slide.geojson")]
    assert shapes and all(shape.is_valid for shape in shapes)
    read_back(tmp_path / "out/slide.geojson", slide)  # which refuses what leaves the slide or overlaps


def test_features_are_what_qupath_reads(tmp_path: Path) -> None:
    slide = draw_nuclei(120, 120).write(tmp_path / "slide.tif")
    apply_to(slide, "slide", tmp_path / "out", task())
    for each in features(tmp_path / "out/slide.geojson"):
        shape = shapely.geometry.shape(each["geometry"])
        assert shape.is_valid and shape.geom_type == "Polygon"
        properties = each["properties"]
        assert properties["objectType"] == "detection"
        assert set(properties["classification"]) == {"name", "color"}
        assert properties["measurements"]["Probability"] == 1
        assert properties["measurements"]["Area µm^2"] == pytest.approx(shape.area * 0.25, abs=1e-3)


@pytest.mark.parametrize("instances", ["components", None])
def test_neither_block_nor_batch_nor_a_break_changes_a_byte(tmp_path: Path, instances: str | None) -> None:
    truth = draw_nuclei(200, 210) if instances else draw_areas(200, 210)
    slide = truth.write(tmp_path / "slide.tif")
    found = []
    for number, changes in enumerate([{}, {"block": 64, "batch": 1}, {"block": 333, "batch": 7}]):
        out = tmp_path / str(number)
        apply_to(slide, "slide", out, task(instances=instances, ome_tiff=True, **changes))
        found.append([(out / f"slide.{kind}").read_bytes() for kind in (*KINDS, "ome.tif")])
    assert found[0] == found[1] == found[2]


class Killed(Exception):
    """What stands for the end of a process."""


@pytest.mark.parametrize("instances", ["components", None])
def test_it_goes_on_from_the_last_block(tmp_path: Path, instances: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = draw_nuclei(150, 170) if instances else draw_areas(150, 170)
    slide = truth.write(tmp_path / "slide.tif")
    whole = task(instances=instances, parquet=bool(instances), ome_tiff=True)
    apply_to(slide, "slide", tmp_path / "whole", whole)
    seen, limit = [0], [0]
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        seen[0] += 1
        if seen[0] > limit[0]:
            raise Killed
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    tries = 0
    for tries in range(200):
        seen[0], limit[0] = 0, 1 + tries // 4
        try:
            apply_to(slide, "slide", tmp_path / "broken", whole)
        except Killed:
            continue
        break
    assert tries > 4
    for kind in whole.kinds:
        assert (tmp_path / f"broken/slide.{kind}").read_bytes() == (tmp_path / f"whole/slide.{kind}").read_bytes()
    assert sorted(path.name for path in (tmp_path / "broken/.lobule/slide").iterdir()) == ["done.json", "key"]
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.applying.work.open_slide", None)  # nothing is done again
        apply_to(slide, "slide", tmp_path / "broken", whole)


def test_a_nucleus_wider_than_the_margin_is_cut_and_nothing_is_written_twice(tmp_path: Path) -> None:
    truth = draw_nuclei(200, 200, count=40)
    truth.classes[90:96], truth.nuclei[90:96] = 1, 1000
    truth.classes[:, 100:104], truth.nuclei[:, 100:104] = 1, 1000
    slide = truth.write(tmp_path / "slide.tif")
    apply_to(slide, "slide", tmp_path / "out", task())
    found = read_back(tmp_path / "out/slide.geojson", slide)  # which looks for pixels that are in two objects
    missing = (found.classes == 0) & (truth.classes > 0)
    assert missing.mean() < 0.01


def test_glass_is_left_out(tmp_path: Path) -> None:
    truth = Drawn(np.zeros((256, 256), np.uint8), np.zeros((256, 256), np.int32))
    truth.classes[20:60, 20:60] = 1
    slide = truth.write(tmp_path / "slide.tif")
    found = apply_to(slide, "slide", tmp_path / "out", task(background=12.5, instances=None))
    assert 0 < found.tiles < 16 and found.square_millimetres < 0.2 * 256**2 * 0.25e-6
    assert np.array_equal(read_back(tmp_path / "out/slide.geojson", slide).classes, truth.classes)


def test_a_slide_of_glass_has_empty_results(tmp_path: Path) -> None:
    slide = Drawn(np.zeros((100, 100), np.uint8), np.zeros((100, 100), np.int32)).write(tmp_path / "slide.tif")
    found = apply_to(slide, "slide", tmp_path / "out", task(background=12.5))
    assert found.tiles == 0 and features(tmp_path / "out/slide.geojson") == []
    assert pd.read_csv(tmp_path / "out/slide.csv")["share"].tolist() == [0, 0, 0]


def test_regions_limit_areas_by_the_pixel_and_keep_nuclei_whole(tmp_path: Path) -> None:
    regions = write_features(tmp_path / "regions.geojson", feature("Polygon", [box(40, 30, 150, 141)], "whatever"))
    truth = draw_areas(200, 200)
    slide = truth.write(tmp_path / "areas.tif")
    found = apply_to(slide, "areas", tmp_path / "out", task(regions, instances=None))
    truth.classes[:30], truth.classes[141:], truth.classes[:, :40], truth.classes[:, 150:] = 0, 0, 0, 0
    assert np.array_equal(read_back(tmp_path / "out/areas.geojson", slide).classes, truth.classes)
    assert found.square_millimetres == pytest.approx(110 * 111 * 0.25e-6, abs=1e-6)

    truth = draw_nuclei(200, 200)
    slide = truth.write(tmp_path / "nuclei.tif")
    apply_to(slide, "nuclei", tmp_path / "out", task(regions))
    sizes = np.bincount(truth.nuclei.ravel())
    inside = np.bincount(truth.nuclei[30:141, 40:150].ravel(), minlength=len(sizes))
    kept = (2 * inside >= sizes) & (sizes > 0)
    kept[0] = False
    gone = ~kept[truth.nuclei]
    truth.classes[gone], truth.nuclei[gone] = 0, 0
    same_nuclei(read_back(tmp_path / "out/nuclei.geojson", slide), truth)


def test_regions_of_another_slide_are_refused(tmp_path: Path) -> None:
    regions = write_features(tmp_path / "regions.geojson", feature("Polygon", [box(4000, 3000, 5000, 5000)]))
    slide = draw_areas(100, 100).write(tmp_path / "slide.tif")
    with pytest.raises(Problem, match="has no region on"):
        apply_to(slide, "slide", tmp_path / "out", task(regions))


def test_a_slide_that_changed_is_done_anew(tmp_path: Path) -> None:
    slide = draw_nuclei(100, 100, seed=1).write(tmp_path / "slide.tif")
    apply_to(slide, "slide", tmp_path / "out", task())
    truth = draw_nuclei(110, 100, seed=2)
    truth.write(slide)
    apply_to(slide, "slide", tmp_path / "out", task())
    same_nuclei(read_back(tmp_path / "out/slide.geojson", slide), truth)


def test_a_resolution_that_does_not_fit_is_refused_with_the_option(tmp_path: Path) -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    coarse = write_tiff(tmp_path / "coarse.tif", pixels, 1.0)
    with pytest.raises(Problem, match=r"1 um/px, coarser than the model's 0\.5.*--microns-per-pixel"):
        apply_to(coarse, "coarse", tmp_path / "out", task())
    unknown = write_tiff(tmp_path / "unknown.tif", pixels, None)
    with pytest.raises(Problem, match="does not tell its resolution; give it in --microns-per-pixel"):
        apply_to(unknown, "unknown", tmp_path / "out", task())
    apply_to(unknown, "unknown", tmp_path / "out", task(microns_per_pixel=0.5))
    apply_to(coarse, "coarse", tmp_path / "out", task(microns_per_pixel=0.5))


def test_outlines_count_from_the_corner_of_the_scan_as_qupaths_do(tmp_path: Path) -> None:
    truth = draw_nuclei(192, 256)
    pixels = drawn.COLOURS[truth.classes].repeat(2, axis=0).repeat(2, axis=1)
    slide = write_scn(tmp_path / "slide.scn", pixels, (300, 200), 2000)
    found = apply_to(slide, "slide", tmp_path / "out", task())
    assert (found.width, found.height) == (512, 384)
    same_nuclei(read_back(tmp_path / "out/slide.geojson", slide), truth)


def test_a_full_disk_leaves_nothing_half_and_the_next_call_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = draw_nuclei(150, 170).write(tmp_path / "slide.tif")
    apply_to(slide, "slide", tmp_path / "whole", task())
    write, written = Path.write_text, [0]

    def full(self: Path, *arguments: Any, **named: Any) -> int:
        written[0] += self.name.endswith(".jsonl.partial")
        if written[0] == 2:  # the second cell alone; those after it must not do without it
            written[0] += 1
            raise OSError(28, "No space left on device")
        return write(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            apply_to(slide, "slide", tmp_path / "out", task())
    assert not list(tmp_path.rglob("*.partial")) and not (tmp_path / "out/slide.geojson").exists()
    apply_to(slide, "slide", tmp_path / "out", task())
    for kind in KINDS:
        assert (tmp_path / f"out/slide.{kind}").read_bytes() == (tmp_path / f"whole/slide.{kind}").read_bytes()


def test_compressed_outlines_and_points_are_those_of_the_outlines(tmp_path: Path) -> None:
    truth = draw_nuclei(120, 120)
    slide = truth.write(tmp_path / "slide.tif", 2)
    apply_to(slide, "slide", tmp_path / "plain", task())
    found = []
    for out in ("one", "two"):
        apply_to(slide, "slide", tmp_path / out, task(gzip=True, points=True))
        found.append((tmp_path / out / "slide.geojson.gz").read_bytes())
    assert found[0] == found[1]
    assert gzip.decompress(found[0]) == (tmp_path / "plain/slide.geojson").read_bytes()
    assert not (tmp_path / "one/slide.geojson").exists()
    points = {
        each["properties"]["classification"]["name"]: each for each in features(tmp_path / "one/slide.points.geojson")
    }
    for name, code in (("tumour", 1), ("stroma", 2)):
        middles = np.array(points[name]["geometry"]["coordinates"])
        assert len(middles) == len(np.unique(truth.nuclei[truth.classes == code]))
        x, y = (middles / 2).astype(int).T
        assert (truth.classes[y, x] == code).mean() > 0.9


def test_areas_of_too_many_corners_stay_cut_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.applying.results.JOINED", 10)
    truth = draw_areas(120, 120)
    slide = truth.write(tmp_path / "slide.tif")
    apply_to(slide, "slide", tmp_path / "out", task(instances=None))
    assert "areas of tumour have " in capsys.readouterr().out
    assert np.array_equal(read_back(tmp_path / "out/slide.geojson", slide).classes, truth.classes)
