"""Online augmentation keeps image and class map together, follows from its seed, and stays within what was asked."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.study_blocks import Online
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import read_plan
from pipeline.tiles.store import IGNORE
from pipeline.training.online import (
    OnlineExamples,
    crop,
    draw_colour,
    draw_stain,
    jitter_colour,
    jitter_stain,
    recolour,
    stain_vectors,
    vary,
)
from tests.tiny_study import SIZE, make_tiny_study

NOTHING = {"crop": 32, "crops": 1, "scale": 0.0, "flips": False, "turns": False, "stain": 0.0, "colour": 0.0}


def online(**changes: Any) -> Online:
    return Online(**{**NOTHING, **changes})


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def stained(image: np.ndarray, strength: float, seed: int) -> np.ndarray:
    return jitter_stain(image, draw_stain(strength, rng(seed)))


def coloured(image: np.ndarray, strength: float, seed: int) -> np.ndarray:
    return jitter_colour(image, draw_colour(strength, rng(seed)))


@pytest.fixture
def tile() -> tuple[np.ndarray, np.ndarray]:
    """An image whose red channel is its class map, so that one shows what was done to the other."""
    class_map = np.kron(rng().integers(0, 3, (12, 12)), np.ones((8, 8))).astype(np.uint8)
    class_map[:8] = IGNORE
    return np.stack([class_map, class_map, class_map], axis=-1), class_map


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_geometry_moves_image_and_class_map_alike(seed: int, flips: bool, turns: bool) -> None:
    class_map = rng(1).integers(0, 255, (64, 64), np.uint8)
    image = np.repeat(class_map[..., None], 3, axis=-1)
    changed, codes, jitter = vary(image, class_map, online(flips=flips, turns=turns), rng(seed))
    assert changed.shape == (32, 32, 3) and changed.dtype == codes.dtype == np.uint8
    np.testing.assert_array_equal(changed[..., 2], codes)
    assert recolour(changed, jitter) is changed


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None)  # the first one imports scikit-image
def test_all_of_it_invents_no_class_and_keeps_the_size(seed: int) -> None:
    class_map = np.kron(rng(1).choice([0, 1, IGNORE], (8, 8)), np.ones((8, 8))).astype(np.uint8)
    image = rng(2).integers(0, 255, (64, 64, 3), np.uint8)
    settings = online(scale=0.5, flips=True, turns=True, stain=0.3, colour=0.3)
    changed, codes, jitter = vary(image, class_map, settings, rng(seed))
    changed = recolour(changed, jitter)
    assert changed.shape == (32, 32, 3) and codes.shape == (32, 32)
    assert set(np.unique(codes)) <= {0, 1, IGNORE}


def test_crops_reach_every_pixel(tile: tuple[np.ndarray, np.ndarray]) -> None:
    seen = np.zeros((40, 40), bool)
    numbers = np.arange(1600, dtype=np.int32).reshape(40, 40)
    generator = rng()
    for _ in range(300):
        image, _ = crop(np.repeat(numbers[..., None], 3, -1), np.zeros((40, 40), np.uint8), 32, 0.0, generator)
        seen.flat[image[..., 0].ravel()] = True
    assert seen.all()


def test_scale_makes_things_larger_and_smaller() -> None:
    class_map = np.zeros((256, 256), np.uint8)
    class_map[:, 128:] = 1
    image = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 256, 1).repeat(3, 2)  # red = row, px
    generator = rng()
    sides = [float(np.ptp(crop(image, class_map, 64, 0.25, generator)[0][..., 0])) + 1 for _ in range(200)]
    assert 50 <= min(sides) < 54 and 76 < max(sides) <= 80
    assert crop(image, class_map, 64, 0.0, generator)[0].shape == (64, 64, 3)


def test_a_tile_smaller_than_the_crop_is_enlarged() -> None:
    image, codes = crop(np.zeros((20, 20, 3), np.uint8), np.ones((20, 20), np.uint8), 32, 0.0, rng())
    assert image.shape == (32, 32, 3) and (codes == 1).all()


def test_jitter_of_nothing_changes_nothing() -> None:
    image = rng().integers(0, 256, (16, 16, 3), np.uint8)
    assert np.abs(stained(image, 0.0, 0).astype(int) - image).max() <= 1
    assert np.abs(coloured(image, 0.0, 0).astype(int) - image).max() <= 1


@pytest.mark.parametrize("jitter", [stained, coloured])
def test_more_strength_changes_more(jitter: Any) -> None:
    image = rng().integers(0, 256, (16, 16, 3), np.uint8)

    def change(strength: float) -> float:
        return float(np.mean([np.abs(jitter(image, strength, i).astype(int) - image).mean() for i in range(20)]))

    assert 1 < change(0.1) < change(0.4) < 90


def test_stain_jitter_leaves_glass_nearly_white() -> None:
    glass = np.full((4, 4, 3), 255, np.uint8)
    assert min(int(stained(glass, 0.3, i).min()) for i in range(50)) > 225


def test_every_epoch_shows_other_versions_and_the_same_ones_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    plan = read_plan(Path("data/plans/tiny/run1/plain.csv"))
    examples = Examples(plan[plan["split"] == "train"], 2 * SIZE)  # online crops are cut before any resizing

    def versions(seed: int) -> list[bytes]:
        data = OnlineExamples(examples, online(crops=2, stain=0.3), seed)
        assert len(data) == 16
        return [data[number][0].tobytes() for number in range(32)]

    first = versions(1)
    assert len(set(first)) == 32
    assert first == versions(1)
    assert not set(first) & set(versions(2))
    data = OnlineExamples(examples, online(crops=2), 1)
    np.testing.assert_array_equal(data[3][1], examples.native(1)[1])


EVERYTHING = {"scale": 0.25, "flips": True, "turns": True, "stain": 0.3, "colour": 0.1}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"flips": True, "turns": True}, "b9ef480d346d581b"),
        ({"stain": 0.3}, "5873b4a050531c68"),
        ({"colour": 0.1}, "66a078cf5bf4d365"),
        (EVERYTHING, "5071e61be9a78c22"),
        ({"stain": 1.0, "colour": 1.0}, "e56714ce0313888d"),
    ],
)
def test_the_same_versions_are_drawn_as_ever(changes: dict[str, Any], expected: str) -> None:
    class Tiles:
        """Two images of blocks, of few colours, so that the last digit of none decides over a byte."""

        def __len__(self) -> int:
            return 2

        def native(self, position: int) -> tuple[np.ndarray, np.ndarray]:
            image = np.kron(rng(position).integers(0, 256, (6, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            return image, image[..., 0].copy()

    data: Any = OnlineExamples(Tiles(), online(crops=2, **changes), 7)  # type: ignore[arg-type]
    digest = hashlib.sha256()
    for number in range(12):
        for values in data[number]:
            digest.update(values.tobytes())
    assert digest.hexdigest().startswith(expected), "other versions would train other weights"


def test_stains_are_the_published_ones_to_the_last_digit() -> None:
    published = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], np.float32)
    published /= np.linalg.norm(published, axis=1, keepdims=True)
    assert stain_vectors().dtype == np.float32
    assert (stain_vectors() == published).all(), "other digits would train other weights"
