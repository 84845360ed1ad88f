"""The drawn sample has PanNuke's layout and what the study needs: all classes, rare ones rare, the same bytes again."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.base.errors import Problem
from pipeline.base.params import (
    BachSample,
    BcssSample,
    BracsSample,
    MonusegSample,
    PanNukeSample,
    Params,
    Sample,
    TnbcSample,
)
from pipeline.datasets import pannuke, sample
from pipeline.drawing.canvas import Canvas, Vector
from pipeline.drawing.nuclei import NUCLEI, paint_nucleus
from pipeline.drawing.stain import Stain, photograph
from pipeline.drawing.tissue import cytoplasm

KINDS = sample.PANNUKE_CHANNELS[:5]


def parameters(tiles: int = 4, size: int = 64, share: float = 0.75, seed: int = 7) -> Sample:
    return Sample(
        seed=seed,
        pannuke=PanNukeSample(tile_size=size, tiles_per_fold=tiles, breast_share=share),
        tnbc=TnbcSample(tile_size=64, share=0.1),
        monuseg=MonusegSample(tile_size=128, images=2),
        bcss=BcssSample(height=224, regions=3),
        bach=BachSample(width=128, images=2),
        bracs=BracsSample(size=1024),
    )


@pytest.fixture(scope="module")
def breast() -> dict[str, Any]:
    """The 16 breast tiles that a fold of 128 px tiles starts with."""
    tiles = [sample.pannuke_tile(parameters(size=128, share=1.0), 1, index) for index in range(16)]
    return {"images": np.array([tile[0] for tile in tiles]), "masks": np.array([tile[1] for tile in tiles])}


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_layout_is_pannukes(tmp_path: Path) -> None:
    sample.draw_pannuke(tmp_path, parameters())
    assert list(files(tmp_path)) == [
        f"Fold {fold}/{name}"
        for fold in (1, 2, 3)
        for name in (f"images/fold{fold}/images.npy", f"images/fold{fold}/types.npy", f"masks/fold{fold}/masks.npy")
    ]
    images = np.load(tmp_path / "Fold 2/images/fold2/images.npy")
    masks = np.load(tmp_path / "Fold 2/masks/fold2/masks.npy")
    types = np.load(tmp_path / "Fold 2/images/fold2/types.npy")
    assert images.shape == (4, 64, 64, 3) and images.dtype == np.float64
    assert masks.shape == (4, 64, 64, 6) and masks.dtype == np.float64
    assert types.tolist() == ["Breast", "Breast", "Breast", "Colon"] and types.dtype == "<U13"
    assert images.min() >= 0 and images.max() <= 255 and (images == np.floor(images)).all()


def test_the_reader_of_the_real_thing_reads_it(tmp_path: Path) -> None:
    sample.draw_pannuke(tmp_path, parameters())
    folds = pannuke.find(tmp_path)
    assert [(fold.name, fold.count, fold.tile_size) for fold in folds] == [
        ("fold1", 4, 64),
        ("fold2", 4, 64),
        ("fold3", 4, 64),
    ]
    tile = next(iter(folds[0].tiles()))
    assert tile.nuclei and set(np.unique(tile.class_map)) > {0}


def test_the_real_thing_has_the_same_dtypes(real_data: Path, tmp_path: Path) -> None:
    sample.draw_pannuke(tmp_path, parameters())
    for name in ("images/fold3/images.npy", "masks/fold3/masks.npy"):
        drawn = np.load(tmp_path / "Fold 3" / name, mmap_mode="r")
        real = np.load(real_data / "pannuke" / "Fold 3" / name, mmap_mode="r")
        assert (drawn.dtype, drawn.ndim, drawn.shape[-1]) == (real.dtype, real.ndim, real.shape[-1])


def test_channels_exclude_each_other_and_ids_are_unique(breast: dict[str, Any]) -> None:
    masks = breast["masks"]
    assert ((masks > 0).sum(axis=-1) == 1).all()  # one class or background, everywhere
    assert set(np.unique(masks[..., 5])) == {0, 1}
    for tile in masks:
        ids = [number for channel in range(5) for number in np.unique(tile[..., channel]) if number]
        assert sorted(ids) == list(range(1, len(ids) + 1))


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_the_first_breast_tiles_of_every_fold_hold_every_class(fold: int) -> None:
    tiles = [sample.pannuke_tile(parameters(size=128, share=1.0), fold, index) for index in range(4)]
    present = {KINDS[channel] for _, masks, _ in tiles for channel in range(5) if masks[..., channel].any()}
    assert present == set(KINDS)


def test_rare_classes_are_rare(breast: dict[str, Any]) -> None:
    share = dict(zip(sample.PANNUKE_CHANNELS, (breast["masks"] > 0).mean(axis=(0, 1, 2)), strict=True))
    assert 0 < share["dead"] < 0.003
    assert 10 * share["dead"] < min(share["inflammatory"], share["connective"])
    assert max(share["inflammatory"], share["connective"]) < min(share["neoplastic"], share["epithelial"])
    assert share["background"] > 0.5


def test_nuclei_touch(breast: dict[str, Any]) -> None:
    ids = breast["masks"][..., :5].sum(axis=-1)
    beside = (ids[:, :, 1:] != ids[:, :, :-1]) & (ids[:, :, 1:] > 0) & (ids[:, :, :-1] > 0)
    assert beside.any(axis=(1, 2)).sum() > 8  # of 16 tiles


def test_nuclei_are_darker_than_what_is_around_them(breast: dict[str, Any]) -> None:
    background = breast["masks"][..., 5] > 0
    red = breast["images"][..., 0]
    assert red[~background].mean() < red[background].mean() - 40


def test_a_tile_does_not_depend_on_the_size_of_its_fold(tmp_path: Path) -> None:
    sample.draw_pannuke(tmp_path / "small", parameters(tiles=4))
    sample.draw_pannuke(tmp_path / "large", parameters(tiles=6))
    for name in ("images/fold1/images.npy", "images/fold1/types.npy", "masks/fold1/masks.npy"):
        small, large = (np.load(tmp_path / size / "Fold 1" / name) for size in ("small", "large"))
        assert (small == large[:4]).all()


def test_seed_fold_and_index_each_change_the_tile() -> None:
    def image(seed: int, fold: int, index: int) -> bytes:
        return sample.pannuke_tile(parameters(seed=seed, share=1.0), fold, index)[0].tobytes()

    assert len({image(7, 1, 0), image(8, 1, 0), image(7, 2, 0), image(7, 1, 8)}) == 4


def test_the_same_seed_draws_the_same_bytes_everywhere(tmp_path: Path) -> None:
    sample.draw_pannuke(tmp_path, parameters())
    found = hashlib.sha256(repr(sorted(files(tmp_path).items())).encode()).hexdigest()
    assert found == "06b68805321d0042a0de652c785cb0a1aaa6e63b6b0f5b79a76443cadf92c223"


def test_patients_differ_in_stain_and_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stains = []

    def spy(canvas: Canvas, rng: np.random.Generator, stain: Stain, blur: float) -> Any:
        stains.append(stain)
        return photograph(canvas, rng, stain, blur)

    monkeypatch.setattr(sample, "photograph", spy)
    for fold in (1, 2):
        for index in range(8):
            sample.pannuke_tile(parameters(share=1.0), fold, index)
    patients = [stains[start : start + 4] for start in range(0, 16, 4)]
    assert all(len(set(patient)) == 1 for patient in patients)
    assert len({patient[0] for patient in patients}) == 4


@pytest.mark.parametrize(("share", "breasts"), [(0.0, 0), (0.3, 3), (0.75, 8), (1.0, 10)])
def test_the_share_of_breast_is_kept(share: float, breasts: int) -> None:
    tissues = [sample.pannuke_tile(parameters(share=share), 1, index)[2] for index in range(10)]
    assert tissues.count("Breast") == breasts
    assert set(tissues) <= set(pannuke.TISSUES)


def test_light_follows_beer_and_lambert() -> None:
    stain = Stain(haematoxylin=(1.0, 0.5, 0.0), eosin=(0.0, 0.0, 0.0))
    canvas = Canvas.blank(40, 40, 0.25)
    canvas.haematoxylin[:] = 1.0
    red, green, blue = photograph(canvas, np.random.default_rng(1), stain, 0).mean(axis=(0, 1))
    assert red / blue == pytest.approx(np.exp(-1.0), abs=0.01)
    assert green / blue == pytest.approx(np.exp(-0.5), abs=0.01)


@pytest.mark.parametrize("kind", NUCLEI)
def test_a_nucleus_has_its_size_at_any_pixel_size(kind: str) -> None:
    areas = []
    for pixel in (0.25, 0.5):
        side = int(32 / pixel)
        canvas = Canvas.blank(side, side, pixel)
        assert paint_nucleus(canvas, np.random.default_rng(3), kind, Vector(16, 16), Vector(1, 0))
        areas.append((canvas.instances > 0).sum() * pixel * pixel)
    assert areas[0] == pytest.approx(areas[1], rel=0.5)
    largest = NUCLEI[kind].length[1]
    assert 1 < areas[0] < 1.5 * largest * largest


def test_no_nucleus_is_painted_over_another_or_on_glass() -> None:
    canvas, rng = Canvas.blank(64, 64, 0.25), np.random.default_rng(1)
    assert paint_nucleus(canvas, rng, "epithelial", Vector(8, 8), Vector(1, 0))
    assert not paint_nucleus(canvas, rng, "inflammatory", Vector(8, 8), Vector(1, 0))
    assert not paint_nucleus(canvas, rng, "epithelial", Vector(-30, 8), Vector(1, 0))
    canvas.bare[:] = True
    assert not paint_nucleus(canvas, rng, "inflammatory", Vector(12, 12), Vector(1, 0))
    assert len(canvas.nuclei) == 1


SAMPLES = [
    ("pannuke", 9),
    ("tnbc", 2 * 11),
    ("monuseg", 2 * 2),
    ("bracs", 8 * 2 + 1),
    ("bcss", 2 * 3),
    ("bach", 4 * 2 + 2),
]


@pytest.mark.parametrize(("name", "count"), SAMPLES)
def test_every_data_set_has_a_sample(name: str, count: int, tmp_path: Path) -> None:
    sample.draw(name, Params.model_construct(sample=parameters()), tmp_path)
    assert len(files(tmp_path)) == count


def test_cytoplasm_leaves_earlier_nuclei_as_they_are() -> None:
    canvas, rng = Canvas.blank(64, 64, 0.25), np.random.default_rng(1)
    assert paint_nucleus(canvas, rng, "epithelial", Vector(8, 8), Vector(1, 0))
    nucleus = canvas.instances > 0
    before = canvas.haematoxylin.copy()
    cytoplasm(canvas, rng, np.ones((64, 64)), 0.2, 0.8)
    assert (canvas.haematoxylin[nucleus] == before[nucleus]).all()
    assert (canvas.haematoxylin[~nucleus] != before[~nucleus]).any()


def test_a_data_set_without_a_sample_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no sample of nothing"):
        sample.draw("nothing", Params.model_construct(sample=parameters()), tmp_path)


def test_the_sheet_is_a_picture(tmp_path: Path) -> None:
    from PIL import Image

    sample.draw_sheet(tmp_path / "new" / "sheet.png", parameters(), rows=1, columns=2)
    assert Image.open(tmp_path / "new" / "sheet.png").size == (2 * (2 * 64 + 4), 64 + 4)
