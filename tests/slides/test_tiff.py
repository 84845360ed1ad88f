"""The faster way to a slide's full resolution gives what OpenSlide gives, or nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.slides.slide import Slide
from pipeline.slides.tiff import UNREADABLE, TiffTiles
from tests.slide_files import speckled, write_scn, write_tiff

HEIGHT, WIDTH = 200, 300  # no multiples of a TIFF's tiles
PLACES = [
    (0, 0, 64, 64),
    (64, 128, 64, 64),
    (10, 20, 130, 150),
    (63, 63, 2, 2),
    (0, 0, WIDTH, HEIGHT),
    (290, 190, 10, 10),
]


def write_jpeg(path: Path, photometric: str = "ycbcr") -> Path:
    """As scanners write it."""
    pixels, kind = speckled(HEIGHT, WIDTH), {"tile": (64, 64), "compression": "jpeg", "photometric": photometric}
    tifffile.imwrite(path, pixels, resolution=(4e4, 4e4), resolutionunit="CENTIMETER", metadata=None, **kind)
    return path


def blended(path: Path, place: tuple[int, int, int, int]) -> Any:
    x, y, width, height = place
    with openslide.OpenSlide(path) as slide:
        return np.asarray(slide.read_region((x, y), 0, (width, height)).convert("RGB"))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("photometric", ["ycbcr", "rgb", "deflate"])
def test_any_part_is_what_openslide_reads(place: tuple[int, int, int, int], photometric: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    if photometric == "deflate":
        write_tiff(path, speckled(HEIGHT, WIDTH))
    else:
        write_jpeg(path, photometric)
    np.testing.assert_array_equal(TiffTiles(path).read(*place), blended(path, place))


@pytest.mark.parametrize("place", [(-1, 0, 10, 10), (0, -1, 10, 10), (295, 0, 10, 10), (0, 195, 10, 10)])
def test_nothing_beyond_the_page(place: tuple[int, int, int, int], tmp_path: Path) -> None:
    assert TiffTiles(write_jpeg(tmp_path / "a.tif")).read(*place) is None


def test_nothing_where_a_tile_is_missing_or_damaged(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "a.tif")
    with tifffile.TiffFile(path) as tiff:
        start, size = tiff.pages.first.dataoffsets[0], tiff.pages.first.databytecounts[0]
    content = bytearray(path.read_bytes())
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    tiles = TiffTiles(path)
    assert tiles.read(0, 0, 10, 10) is None and tiles.read(60, 0, 10, 10) is None
    assert tiles.read(64, 0, 10, 10) is not None


def test_the_largest_tile_has_the_most_to_see(tmp_path: Path) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 240, np.uint8)
    pixels[130:150, 260:280] = np.random.default_rng(0).integers(0, 256, (20, 20, 3))
    assert TiffTiles(write_tiff(tmp_path / "a.tif", pixels)).largest() == (256, 128, WIDTH - 256, 64)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(b"hello")
    tifffile.imwrite(tmp_path / "strips.tif", speckled(HEIGHT, WIDTH), photometric="rgb")
    tifffile.imwrite(tmp_path / "grey.tif", speckled(HEIGHT, WIDTH)[..., 0], tile=(64, 64))
    for name in ("a.svs", "strips.tif", "grey.tif"):
        with pytest.raises(UNREADABLE):
            TiffTiles(tmp_path / name)


@pytest.mark.parametrize(
    ("tag", "value", "said"),
    [
        ("ImageLength", 1 << 30, "its size needs more tiles than it has"),
        ("TileWidth", 1 << 15, "its tiles are larger than memory"),  # OpenSlide would end the process
    ],
)
def test_tiles_that_cannot_be_are_refused(tag: str, value: int, said: str, tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", speckled(HEIGHT, WIDTH))
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags[tag].overwrite(value, dtype="I")
        tiff.pages.first.tags["TileLength"].overwrite(value if tag == "TileWidth" else 64, dtype="I")
    with pytest.raises(Problem, match=rf"a\.tif is damaged: {said}; get it again .*\.$"):
        Slide(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["tif", "scn"]))
def test_a_damaged_slide_is_read_or_ends_in_a_sentence(
    data: st.DataObject, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / f"a.{kind}"
    write_scn(path, speckled(64, 128), (10, 20), 256) if kind == "scn" else write_tiff(path, speckled(64, 128))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        with Slide(path, 0.25) as slide:
            assert slide.read(slide.grid(64, 64), 0, 0).shape[2] == 3
    except Problem as problem:
        assert str(problem).endswith(".")


def test_a_slide_that_reads_otherwise_is_left_to_openslide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, original = write_jpeg(tmp_path / "a.tif"), TiffTiles.read
    monkeypatch.setattr(TiffTiles, "read", lambda self, *place: original(self, *place) // 2)
    with Slide(path) as slide:
        np.testing.assert_array_equal(slide.read(slide.grid(64, 64), 1, 1), blended(path, (64, 64, 64, 64)))


@pytest.mark.parametrize("width", [WIDTH, WIDTH - 64])
def test_a_page_of_another_size_than_the_slide_is_left_to_openslide(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places, original = [], TiffTiles.read
    monkeypatch.setattr(TiffTiles, "read", lambda self, *place: places.append(place) or original(self, *place))
    monkeypatch.setattr(openslide.OpenSlide, "dimensions", (width, HEIGHT))
    with Slide(write_jpeg(tmp_path / "a.tif")) as slide:
        slide.read(slide.grid(64, 64), 1, 1)
    assert ((64, 64, 64, 64) in places) == (width == WIDTH)


@pytest.mark.real
def test_a_real_slide_is_read_alike(real_data: Path) -> None:
    path = real_data / "wsi/CMU-1-Small-Region.svs"
    tiles, random = TiffTiles(path), np.random.default_rng(0)
    for _ in range(20):
        place = (*(int(random.integers(0, end)) for end in (2220 - 300, 2967 - 300)), 300, 300)
        np.testing.assert_array_equal(tiles.read(*place), blended(path, place))
