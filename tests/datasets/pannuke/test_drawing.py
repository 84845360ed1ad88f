"""The drawn sample has PanNuke's layout and what the study needs: all classes, rare ones rare, the same bytes again."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.datasets.pannuke.card import CARD, Sample
from pipeline.datasets.pannuke.drawing import CHANNELS, draw, draw_sheet, draw_tile
from pipeline.datasets.pannuke.reader import find
from pipeline.drawing import stain
from pipeline.drawing.canvas import Canvas
from tests.datasets.drawn import checksums

SEED = 7
KINDS = CHANNELS[:5]


def settings(tiles: int = 4, size: int = 64, share: float = 0.75) -> Sample:
    return Sample(tile_size=size, tiles_per_fold=tiles, breast_share=share)


@pytest.fixture(scope="module")
def breast() -> dict[str, Any]:
    """The 16 breast tiles that a fold of 128 px tiles starts with."""
    tiles = [draw_tile(SEED, settings(size=128, share=1.0), 1, index) for index in range(16)]
    return {"images": np.array([tile[0] for tile in tiles]), "masks": np.array([tile[1] for tile in tiles])}


def test_the_layout_is_pannukes(tmp_path: Path) -> None:
    draw(tmp_path, SEED, settings())
    assert list(checksums(tmp_path)) == [
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
    draw(tmp_path, SEED, settings())
    folds = find(tmp_path)
    assert [(fold.name, fold.count, fold.tile_size) for fold in folds] == [
        ("fold1", 4, 64),
        ("fold2", 4, 64),
        ("fold3", 4, 64),
    ]
    tile = next(iter(folds[0].tiles()))
    assert tile.nuclei and set(np.unique(tile.class_map)) > {0}


def test_the_real_thing_has_the_same_dtypes(real_data: Path, tmp_path: Path) -> None:
    draw(tmp_path, SEED, settings())
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
    tiles = [draw_tile(SEED, settings(size=128, share=1.0), fold, index) for index in range(4)]
    present = {KINDS[channel] for _, masks, _ in tiles for channel in range(5) if masks[..., channel].any()}
    assert present == set(KINDS)


def test_rare_classes_are_rare(breast: dict[str, Any]) -> None:
    share = dict(zip(CHANNELS, (breast["masks"] > 0).mean(axis=(0, 1, 2)), strict=True))
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
    draw(tmp_path / "small", SEED, settings(tiles=4))
    draw(tmp_path / "large", SEED, settings(tiles=6))
    for name in ("images/fold1/images.npy", "images/fold1/types.npy", "masks/fold1/masks.npy"):
        small, large = (np.load(tmp_path / size / "Fold 1" / name) for size in ("small", "large"))
        assert (small == large[:4]).all()


def test_seed_fold_and_index_each_change_the_tile() -> None:
    def image(seed: int, fold: int, index: int) -> bytes:
        return draw_tile(seed, settings(share=1.0), fold, index)[0].tobytes()

    assert len({image(7, 1, 0), image(8, 1, 0), image(7, 2, 0), image(7, 1, 8)}) == 4


def test_the_same_seed_draws_the_same_bytes_everywhere(tmp_path: Path) -> None:
    draw(tmp_path, SEED, settings())
    found = hashlib.sha256(repr(sorted(checksums(tmp_path).items())).encode()).hexdigest()
    assert found == "06b68805321d0042a0de652c785cb0a1aaa6e63b6b0f5b79a76443cadf92c223"


def test_patients_differ_in_stain_and_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stains = []

    photograph = stain.photograph

    def spy(canvas: Canvas, rng: np.random.Generator, dyes: stain.Stain, blur: float) -> Any:
        stains.append(dyes)
        return photograph(canvas, rng, dyes, blur)

    monkeypatch.setattr(stain, "photograph", spy)
    for fold in (1, 2):
        for index in range(8):
            draw_tile(SEED, settings(share=1.0), fold, index)
    patients = [stains[start : start + 4] for start in range(0, 16, 4)]
    assert all(len(set(patient)) == 1 for patient in patients)
    assert len({patient[0] for patient in patients}) == 4


@pytest.mark.parametrize(("share", "breasts"), [(0.0, 0), (0.3, 3), (0.75, 8), (1.0, 10)])
def test_the_share_of_breast_is_kept(share: float, breasts: int) -> None:
    tissues = [draw_tile(SEED, settings(share=share), 1, index)[2] for index in range(10)]
    assert tissues.count("Breast") == breasts
    assert set(tissues) <= set(CARD.groups)


def test_the_sheet_is_a_picture(tmp_path: Path) -> None:
    from PIL import Image

    draw_sheet(tmp_path / "new" / "sheet.png", SEED, settings(), rows=1, columns=2)
    assert Image.open(tmp_path / "new" / "sheet.png").size == (2 * (2 * 64 + 4), 64 + 4)
