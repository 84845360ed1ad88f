"""The pyramid of class map and probabilities is the maps to the pixel, on every level, and says what it is."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from pipeline.applying.maps import Map
from pipeline.applying.ome_tiff import SCHEMA, TILE, write_ome_tiff
from pipeline.applying.windows import Window
from pipeline.applying.work import apply_to
from pipeline.reporting.pictures import colours
from pipeline.slides.flat import ome_resolution
from pipeline.slides.slide import Grid
from pipeline.tiles.store import IGNORE
from tests.applying.drawn import CLASSES, MICRONS, draw_areas, draw_nuclei, task
from tests.slide_files import box, feature, write_features

HEIGHT, WIDTH = 2304, 4661  # px: three levels above the full size, parts of tiles at both borders


class Looked:
    """Maps in memory that remember how much was asked for at once."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        coarse = rng.choice([0, 1, 2, IGNORE], (HEIGHT // 16 + 1, WIDTH // 16 + 1)).astype(np.uint8)
        self.codes = np.ascontiguousarray(coarse.repeat(16, 0).repeat(16, 1)[:HEIGHT, :WIDTH])
        self.probability = rng.integers(1, 256, self.codes.shape, dtype=np.uint8)
        self.most = 0

    def __call__(self, window: Window) -> tuple[Map, Map]:
        self.most = max(self.most, window.height * window.width)
        here = window.rows_from(0), window.columns_from(0)
        return self.codes[here], self.probability[here]


def grid(height: int, width: int) -> Grid:
    return Grid(64, 64, 0, 1.0, 1.0, 0.4567, width, height)


def levels(path: Path) -> list[npt.NDArray[np.uint8]]:
    """Every level, (channels, H, W)."""
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome and tiff.is_bigtiff and len(tiff.series) == 1
        return [level.asarray() for level in tiff.series[0].levels]


def test_every_level_has_the_maps_to_the_pixel_and_no_more_of_them_is_in_memory_than_a_square(tmp_path: Path) -> None:
    looked = Looked()
    write_ome_tiff(tmp_path / "one.ome.tif", "one", looked, grid(HEIGHT, WIDTH), colours(CLASSES))
    found = levels(tmp_path / "one.ome.tif")
    assert [level.shape[1:] for level in found] == [(2304, 4661), (1152, 2331), (576, 1166), (288, 583), (144, 292)]
    for number, level in enumerate(found):
        codes = looked.codes[:: 2**number, :: 2**number]
        probability = looked.probability[:: 2**number, :: 2**number]
        assert level.dtype == np.uint8 and np.array_equal(level[0], codes)
        for code in range(3):
            assert np.array_equal(level[1 + code], np.where(codes == code, probability, 0))
    assert looked.most <= 2048**2
    with tifffile.TiffFile(tmp_path / "one.ome.tif") as tiff:
        for level in tiff.series[0].levels:
            page: Any = level.pages[0]
            assert page.is_tiled and page.tile == (TILE, TILE) and page.compression == 8
    assert (tmp_path / "one.ome.tif").stat().st_size < 1.4 * looked.probability.nbytes  # though it is noise


def test_it_tells_micrometres_and_the_classes_with_their_colours(tmp_path: Path) -> None:
    path, names = tmp_path / "one.ome.tif", ["background", 'größer & "schön" <1>']
    write_ome_tiff(path, "Maß & <Ziel>", Looked(), grid(600, 700), colours(names))
    with tifffile.TiffFile(path) as tiff:
        text = tiff.ome_metadata
        first, second = (level.pages[0].tags for level in tiff.series[0].levels)
    assert text is not None
    root = ET.fromstring(text)
    image, pixels = root[0], root[0][0]
    assert image.attrib["Name"] == "Maß & <Ziel>"
    told = {key: pixels.attrib[key] for key in ("SizeX", "SizeY", "SizeC", "PhysicalSizeX", "PhysicalSizeYUnit")}
    assert told == {
        "SizeX": "700", "SizeY": "600", "SizeC": "3", "PhysicalSizeX": "0.4567", "PhysicalSizeYUnit": "µm",
    }  # fmt: skip
    channels = pixels.findall(f"{{{SCHEMA}}}Channel")
    assert [channel.attrib["Name"] for channel in channels] == ["class map", *names]
    shown = [int(channel.attrib["Color"]).to_bytes(4, "big", signed=True) for channel in channels]
    assert [tuple(colour[:3]) for colour in shown[1:]] == list(colours(names).values())
    assert all(colour[3] == 255 for colour in shown)
    assert ome_resolution(path) == 0.4567  # as slides of others are read
    for tags, step in ((first, 1), (second, 2)):
        above, below = tags["XResolution"].value
        assert 1e4 / (above / below) == pytest.approx(0.4567 * step, rel=1e-6) and tags["ResolutionUnit"].value == 3
    assert not re.search(rb"tifffile|20\d\d:\d\d|urn:uuid", path.read_bytes())  # what would differ tomorrow


def test_maps_smaller_than_a_tile_are_one_level(tmp_path: Path) -> None:
    looked = Looked()
    write_ome_tiff(tmp_path / "one.ome.tif", "one", looked, grid(21, 30), colours(CLASSES))
    (only,) = levels(tmp_path / "one.ome.tif")
    assert np.array_equal(only[0], looked.codes[:21, :30])


def test_a_slide_has_the_class_map_that_its_outlines_and_figures_are_of(tmp_path: Path) -> None:
    truth = draw_areas(250, 230)
    slide = truth.write(tmp_path / "slide.tif", 2)
    apply_to(slide, "slide", tmp_path / "out", task(instances=None, ome_tiff=True))
    (found,) = levels(tmp_path / "out/slide.ome.tif")
    assert np.array_equal(found[0], truth.classes)
    assert all(np.array_equal(found[1 + code], 255 * (truth.classes == code)) for code in range(3))
    assert ome_resolution(tmp_path / "out/slide.ome.tif") == MICRONS


def test_what_was_not_looked_at_is_ignored(tmp_path: Path) -> None:
    regions = write_features(tmp_path / "regions.geojson", feature("Polygon", [box(40, 30, 150, 141)], "whatever"))
    truth = draw_nuclei(200, 200)
    slide = truth.write(tmp_path / "slide.tif")
    apply_to(slide, "slide", tmp_path / "out", task(regions, ome_tiff=True))
    (found,) = levels(tmp_path / "out/slide.ome.tif")
    inside = np.zeros(truth.classes.shape, np.bool_)
    inside[30:141, 40:150] = True
    assert np.array_equal(found[0], np.where(inside, truth.classes, IGNORE)) and not found[1:, ~inside].any()


def test_asked_for_later_it_is_added_and_of_a_slide_that_changed_it_is_removed(tmp_path: Path) -> None:
    slide = draw_areas(120, 130).write(tmp_path / "slide.tif")
    first, both = (task(instances=None, ome_tiff=wanted) for wanted in (False, True))
    apply_to(slide, "slide", tmp_path / "out", first)
    before = (tmp_path / "out/slide.geojson").read_bytes()
    apply_to(slide, "slide", tmp_path / "out", both)
    apply_to(slide, "slide", tmp_path / "at once", both)
    for kind in both.kinds:
        assert (tmp_path / f"out/slide.{kind}").read_bytes() == (tmp_path / f"at once/slide.{kind}").read_bytes()
    assert (tmp_path / "out/slide.geojson").read_bytes() == before
    draw_areas(110, 130, seed=1).write(slide)
    apply_to(slide, "slide", tmp_path / "out", first)
    assert not (tmp_path / "out/slide.ome.tif").exists()


def test_a_full_disk_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slide = draw_areas(120, 130).write(tmp_path / "slide.tif")
    wanted = task(instances=None, ome_tiff=True)

    def full(*_: Any) -> bytes:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.applying.ome_tiff.zlib.compress", full)
        with pytest.raises(OSError, match="No space left"):
            write_ome_tiff(tmp_path / "out/slide.ome.tif", "slide", Looked(), grid(HEIGHT, WIDTH), colours(CLASSES))
    assert not list((tmp_path / "out").iterdir())
    apply_to(slide, "slide", tmp_path / "out", wanted)
    assert len(levels(tmp_path / "out/slide.ome.tif")) == 1
