"""Slides tell their size and resolution, are read at any resolution, and end in one sentence where they are damaged."""

from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import tifffile

from pipeline.base.errors import Problem
from pipeline.slides.slide import Slide, spread
from tests.slide_files import speckled, write_scn, write_tiff

APERIO = "Aperio Image Library v1\r\n200x300|AppMag = 20|MPP = 0.4990"


def message(path: Path, microns_per_pixel: float | None = None) -> str:
    with pytest.raises(Problem) as problem:
        Slide(path, microns_per_pixel)
    text = str(problem.value)
    assert text.startswith(str(path)) and text.endswith(".") and "\n" not in text
    return text


@pytest.mark.parametrize(
    ("tagged", "description", "given", "resolution", "magnification"),
    [
        (0.25, "", None, 0.25, 40),
        (0.25, "", 0.5, 0.5, 20),  # what is given goes before what the tags tell
        (None, "", 0.5, 0.5, 20),
        (10000 / 28.35, "", 0.5, 0.5, 20),  # 72 dpi
        (None, APERIO, None, 0.499, 20),
        (None, "Aperio x|AppMag = 40", None, 0.25, 40),
        (None, "Aperio x|AppMag = 40", 0.23, 0.23, 40),
    ],
)
def test_resolution_and_magnification(
    tagged: float | None, description: str, given: float, resolution: float, magnification: float, tmp_path: Path
) -> None:
    with Slide(write_tiff(tmp_path / "a.tif", speckled(200, 300), tagged, description), given) as slide:
        assert (slide.width, slide.height) == (300, 200)
        assert slide.microns_per_pixel == pytest.approx(resolution)
        assert slide.magnification == pytest.approx(magnification)


def test_a_slide_that_does_not_tell_its_resolution_is_refused(tmp_path: Path) -> None:
    assert "give it in tiling.slide_microns_per_pixel" in message(
        write_tiff(tmp_path / "a.tif", speckled(64, 64), None)
    )


@pytest.mark.parametrize("tagged", [0.0274, 2.74])
def test_a_resolution_that_cannot_be_is_refused_and_mended(
    tagged: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tiff(tmp_path / "a.tif", speckled(200, 300), tagged)
    assert "give the right µm/px of its full resolution in tiling.slide_microns_per_pixel" in message(path)
    with Slide(path, 0.274) as slide:
        assert (slide.microns_per_pixel, slide.magnification) == (0.274, pytest.approx(36.5, abs=0.1))
        assert slide.grid(64, 64, 0.548).downsample == 2
    assert f"{path} tells {tagged} µm/px, where slides have 0.1 to 2" in capsys.readouterr().out


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER", "NONE"])
def test_the_unit_of_the_tags_counts(unit: str, tmp_path: Path) -> None:
    path, pixels = tmp_path / "a.tif", speckled(128, 128)
    per_unit = {"INCH": 25_400 / 0.5, "CENTIMETER": 10_000 / 0.5, "NONE": 20_000}[unit]
    tifffile.imwrite(
        path,
        pixels,
        tile=(64, 64),
        photometric="rgb",
        resolution=(per_unit, per_unit),
        resolutionunit=unit,
        metadata=None,
    )
    if unit == "NONE":
        assert "does not tell its resolution" in message(path)
    else:
        with Slide(path) as slide:
            assert slide.microns_per_pixel == pytest.approx(0.5)


def test_positions_count_from_the_corner_of_the_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.slides.slide.BLOCK", 40)
    pixels = speckled(192, 256)
    with Slide(write_scn(tmp_path / "a.scn", pixels, (128, 64), 512)) as slide:
        assert (slide.width, slide.height, slide.corner) == (256, 192, (128, 64))
        assert (slide.microns_per_pixel, slide.magnification) == (0.25, 40)
        grid = slide.grid(64, 64)
        assert (grid.columns, grid.rows, grid.corner(0, 0)) == (4, 3, (0, 0))
        whole = np.vstack([np.hstack([slide.read(grid, column, row) for column in range(4)]) for row in range(3)])
        np.testing.assert_array_equal(whole, pixels)
        np.testing.assert_array_equal(slide.overview(4), pixels[::4, ::4])
        coarse = slide.grid(32, 32, 1.0)
        assert coarse.level == 1 and (coarse.columns, coarse.rows) == (2, 2)
        np.testing.assert_array_equal(slide.read(coarse, 1, 0), pixels[::4, ::4][:32, 32:])


@pytest.mark.parametrize(
    ("bounds", "corner", "size"),
    [
        ((10, 20, 30, 40), (10, 20), (30, 40)),
        ((-5, 0, 400, 999), (0, 0), (300, 200)),
        ((290, 190, 50, 50), (290, 190), (10, 10)),
    ],
)
def test_bounds_are_clipped_to_the_glass(
    bounds: Any, corner: Any, size: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiff(tmp_path / "a.tif", speckled(200, 300))
    told = {"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.25"}
    told |= {
        f"openslide.bounds-{name}": str(value)
        for name, value in zip(("x", "y", "width", "height"), bounds, strict=True)
    }
    monkeypatch.setattr(openslide.OpenSlide, "properties", told)
    with Slide(path) as slide:
        assert (slide.corner, (slide.width, slide.height)) == (corner, size)
        expected = speckled(200, 300)[corner[1] :, corner[0] :][: size[1], : size[0]]
        np.testing.assert_array_equal(slide.read(slide.grid(512, 512), 0, 0), expected)
    told["openslide.bounds-x"] = "300"
    assert "were scanned at x 300" in message(path)


def test_a_grid_covers_the_slide(tmp_path: Path) -> None:
    pixels = speckled(200, 300)
    with Slide(write_tiff(tmp_path / "a.tif", pixels)) as slide:
        grid = slide.grid(128, 128)
        assert (grid.columns, grid.rows, grid.level, grid.downsample) == (3, 2, 0, 1)
        whole = np.vstack([np.hstack([slide.read(grid, column, row) for column in range(3)]) for row in range(2)])
        np.testing.assert_array_equal(whole, pixels)
        strided = slide.grid(128, 64)
        assert (strided.columns, strided.rows) == (4, 3) and strided.corner(1, 2) == (64, 128)
        np.testing.assert_array_equal(slide.read(strided, 1, 1), pixels[64:192, 64:192])
        assert (slide.grid(512, 512).columns, slide.grid(512, 512).inside(0, 0)) == (1, (300, 200))


@pytest.mark.parametrize(
    ("wanted", "level", "downsample"), [(None, 0, 1), (0.25, 0, 1), (0.26, 0, 1), (0.5, 0, 2), (1.0, 1, 4), (2.0, 1, 8)]
)
def test_other_resolutions_are_read_from_the_nearest_finer_level(
    wanted: float | None, level: int, downsample: float, tmp_path: Path
) -> None:
    flat = np.full((256, 512, 3), (10, 200, 90), np.uint8)
    flat[:, 256:] = 50
    with Slide(write_tiff(tmp_path / "a.tif", flat)) as slide:
        grid = slide.grid(32, 32, wanted)
        assert (grid.level, grid.downsample) == (level, downsample)
        assert grid.microns_per_pixel == pytest.approx(0.25 * downsample)
        assert (grid.width, grid.height) == (512 / downsample, 256 / downsample)
        assert (slide.read(grid, 0, 0) == flat[0, 0]).all()
        assert (slide.read(grid, grid.columns - 1, 0) == 50).all()


def test_a_slide_that_is_a_little_coarser_is_taken_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Slide(write_tiff(tmp_path / "a.tif", speckled(64, 64), 0.274)) as slide:
        grid = slide.grid(32, 32, 0.25)
        assert (grid.downsample, grid.microns_per_pixel) == (1, pytest.approx(0.274))
        assert "has 0.274 µm/px where 0.25 is wanted; it is taken as it is" in capsys.readouterr().out
        with pytest.raises(Problem, match=r"coarser than the wanted 0\.24"):
            slide.grid(32, 32, 0.24)


def test_a_resolution_finer_than_the_slides_is_refused(tmp_path: Path) -> None:
    with Slide(write_tiff(tmp_path / "a.tif", speckled(64, 64))) as slide, pytest.raises(Problem, match="coarser than"):
        slide.grid(32, 32, 0.125)


@pytest.mark.parametrize("downsample", [3, 4, 16])
def test_an_overview_shows_the_whole_slide(downsample: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.slides.slide.BLOCK", 40)
    pixels = speckled(200, 320)
    with Slide(write_tiff(tmp_path / "a.tif", pixels)) as slide:
        overview = slide.overview(downsample)
    assert overview.shape == (-(-200 // downsample), -(-320 // downsample), 3)
    right = overview[: 200 // downsample, 160 // downsample + 1 : 320 // downsample]
    assert (np.abs(right.astype(int) - 240) <= 1).all()
    left = overview[: 200 // downsample, : 160 // downsample - 1]
    assert np.abs(left.mean(axis=(0, 1)) - pixels[:, :160].mean(axis=(0, 1))).max() < 6


def test_the_spread_is_the_standard_deviation_of_all_values() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)
    assert spread(pixels) == pytest.approx(pixels.std(), abs=1e-9)
    assert spread(np.full((5, 5, 3), 255, np.uint8)) == 0


def test_a_slide_cut_anywhere_ends_in_a_sentence(tmp_path: Path) -> None:
    content = write_tiff(tmp_path / "a.tif", speckled(200, 300)).read_bytes()
    cut = tmp_path / "cut.tif"
    for end in range(0, len(content), len(content) // 40):
        cut.write_bytes(content[:end])
        assert "get it again" in message(cut)


def test_damage_within_a_slide_ends_in_a_sentence(tmp_path: Path) -> None:
    content = bytearray(write_tiff(tmp_path / "a.tif", speckled(200, 300)).read_bytes())
    content[2000:30000] = bytes(28000)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(Problem, match=r"a\.tif (cannot be read at x|is no slide).*get it again.*\.$"):  # noqa: SIM117
        with Slide(tmp_path / "a.tif") as slide:
            for column in range(3):
                slide.read(slide.grid(128, 128), column, 0)


def test_a_picture_without_tiles_is_told_how_to_become_a_slide(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    assert "is a picture without tiles, which is no slide; write it as a tiled TIFF" in message(tmp_path / "a.tif")
    assert Slide(tmp_path / "a.tif", 0.5, flat=True).width == 64


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"hello", "no slide that OpenSlide can open"),
        (b"II*\0" + bytes(100), "no slide that OpenSlide can open"),
    ],
)
def test_other_files_are_refused(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(content)
    assert told in message(tmp_path / "a.svs")
    assert "is not there" in message(tmp_path / "b.svs")


@pytest.mark.real
def test_a_real_slide(real_data: Path) -> None:
    with Slide(real_data / "wsi/CMU-1-Small-Region.svs") as slide:
        assert (slide.width, slide.height, slide.microns_per_pixel, slide.magnification) == (2220, 2967, 0.499, 20)
        grid = slide.grid(512, 512, 0.5)
        assert (grid.columns, grid.rows, grid.downsample) == (5, 6, 1)
        tile: Any = slide.read(grid, 4, 5)
        assert tile.shape == (2967 - 5 * 512, 2220 - 4 * 512, 3)
        assert slide.overview(16).shape == (186, 139, 3)
