"""Classifiers of tiles and detectors: each tile has its score, each nucleus is there once, whole."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import shapely
from PIL import Image

from pipeline.applying.blending import FULL
from pipeline.applying.work import apply_to
from pipeline.tiles.objects import Objects, boxes_of
from tests.applying import drawn
from tests.applying.drawn import draw_nuclei, features, predict, read_back, task
from tests.applying.test_work import same_nuclei
from tests.slide_files import box, feature, write_features, write_tiff

KINDS = ("geojson", "csv", "png")


def share_of_dark(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """A classifier: the more of a tile is tumour, the surer."""
    dark = (images[..., 1] < 80).mean(axis=(1, 2))
    second = np.rint(dark * FULL).astype(np.uint16)
    return np.stack([FULL - second, second], axis=1)[..., None, None].astype(np.uint16)


def detect(image: npt.NDArray[np.uint8]) -> Objects:
    """A detector that sees each nucleus of a tile as far as the tile shows it, and some of them twice."""
    from scipy.ndimage import label

    classes = predict(image[None])[0].argmax(axis=0)
    labels, count = label(classes > 0)
    masks = np.array([labels == name for name in range(1, count + 1)], bool).reshape(-1, *labels.shape)
    codes = np.array([classes[mask][0] for mask in masks], np.int64)
    scores = np.array([0.9 - 0.3 * (mask.sum() % 7) / 7 for mask in masks], np.float32)
    again = slice(None, None, 3)
    masks = np.concatenate([masks, masks[again]])
    return Objects(
        boxes_of(masks) if len(masks) else np.zeros((0, 4), np.float32),
        np.concatenate([codes, codes[again]]),
        np.concatenate([scores, scores[again] / 2]),
        masks,
    )


DETECTOR = {"predict": None, "detect": detect, "kind": "detection", "tile_size": 96, "overlap": 40, "instances": None}
SORTER = {
    "predict": share_of_dark,
    "kind": "tiles",
    "tile_size": 32,
    "overlap": 0,
    "instances": None,
    "classes": ("background", "tumour"),
}


@pytest.mark.parametrize("zoom", [1, 2])
def test_every_nucleus_of_a_detector_is_there_once_and_whole(tmp_path: Path, zoom: int) -> None:
    truth = draw_nuclei(301, 277)
    slide = truth.write(tmp_path / "slide.tif", zoom)
    found = apply_to(slide, "slide", tmp_path / "out", task(**DETECTOR))
    same_nuclei(read_back(tmp_path / "out/slide.geojson", slide), truth)
    count = [len(np.unique(truth.nuclei[truth.classes == code])) for code in (1, 2)]
    assert found.nuclei == dict(zip(drawn.CLASSES, [0, *count], strict=True))
    table = pd.read_csv(tmp_path / "out/slide.csv")
    assert table["area_mm2"].to_numpy() == pytest.approx(np.bincount(truth.classes.ravel()) * 0.25e-6, rel=1e-4)
    assert {each["properties"]["objectType"] for each in features(tmp_path / "out/slide.geojson")} == {"detection"}
    assert np.asarray(Image.open(tmp_path / "out/slide.png")).std() > 10


def test_regions_and_glass_limit_a_detector(tmp_path: Path) -> None:
    regions = write_features(tmp_path / "regions.geojson", feature("Polygon", [box(40, 30, 150, 141)]))
    truth = draw_nuclei(301, 277)
    slide = truth.write(tmp_path / "slide.tif")
    found = apply_to(slide, "slide", tmp_path / "out", task(regions, **DETECTOR))
    sizes = np.bincount(truth.nuclei.ravel())
    inside = np.bincount(truth.nuclei[30:141, 40:150].ravel(), minlength=len(sizes))
    assert found.nuclei is not None and sum(found.nuclei.values()) == np.count_nonzero(2 * inside[1:] >= sizes[1:]) - (
        np.count_nonzero(sizes[1:] == 0)
    )
    assert found.square_millimetres == pytest.approx(110 * 111 * 0.25e-6, rel=1e-3)


def test_a_classifier_gives_every_tile_a_square_with_its_probability(tmp_path: Path) -> None:
    pixels = np.full((100, 130, 3), 235, np.uint8)
    pixels[:32, :64] = (150, 40, 120)
    pixels[32:64, :12] = (150, 40, 120)
    slide = write_tiff(tmp_path / "slide.tif", pixels, 0.5)
    found = apply_to(slide, "slide", tmp_path / "out", task(**SORTER))
    squares = features(tmp_path / "out/slide.geojson")
    assert found.tiles == len(squares) == 4 * 5 and found.nuclei is None
    assert {each["properties"]["objectType"] for each in squares} == {"tile"}
    assert [each["properties"]["classification"]["name"] for each in squares].count("tumour") == 2
    assert sum(shapely.geometry.shape(each["geometry"]).area for each in squares) == 100 * 130
    table = pd.read_csv(tmp_path / "out/slide.csv", index_col="class")
    assert table.loc["tumour", "area_mm2"] == pytest.approx(2 * 32**2 * 0.25e-6)
    heat = np.asarray(Image.open(tmp_path / "out/slide.png").convert("RGB")).astype(int)
    tints = [abs(heat[y, x] - pixels[y, x]).sum() for y, x in ((10, 10), (40, 25), (90, 100))]
    assert tints[0] > 0 and tints[1] > tints[2] == 0


def test_a_classifier_counts_tiles_that_lie_in_a_region_by_half(tmp_path: Path) -> None:
    regions = write_features(tmp_path / "regions.geojson", feature("Polygon", [box(0, 0, 49, 32)]))
    slide = write_tiff(tmp_path / "slide.tif", np.full((100, 130, 3), 235, np.uint8), 0.5)
    apply_to(slide, "slide", tmp_path / "out", task(regions, **SORTER))
    assert len(features(tmp_path / "out/slide.geojson")) == 2


class Killed(Exception):
    """What stands for the end of a process."""


@pytest.mark.parametrize("settings", [DETECTOR, SORTER], ids=["detection", "tiles"])
def test_it_goes_on_from_the_last_row(
    tmp_path: Path, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = draw_nuclei(301, 277).write(tmp_path / "slide.tif")
    apply_to(slide, "slide", tmp_path / "whole", task(**settings))
    replace, limit = Path.replace, [0]

    def killed(self: Path, target: Path) -> Path:
        limit[0] -= 1
        if limit[0] < 0:
            raise Killed
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    tries = 0
    for tries in range(50):
        limit[0] = 1 + tries // 4
        try:
            apply_to(slide, "slide", tmp_path / "broken", task(**settings, batch=1))
        except Killed:
            continue
        break
    assert tries > 2
    for kind in KINDS:
        assert (tmp_path / f"broken/slide.{kind}").read_bytes() == (tmp_path / f"whole/slide.{kind}").read_bytes()
    assert sorted(path.name for path in (tmp_path / "broken/.lobule/slide").iterdir()) == ["done.json", "key"]
