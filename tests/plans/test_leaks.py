"""Tiles that are or look the same are found, whatever they are called."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.plans import leaks
from tests.tiles.test_plan import make_plan
from tests.tiny_study import make_tiny_study


def test_tiles_of_two_sides_with_the_same_pixels_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, tiles=4)
    monkeypatch.chdir(tmp_path)
    plan = make_plan(6, index=[0, 1, 2, 3, 0, 2])  # two train, two validate, two test
    near, same = leaks.compare_pixels(plan)
    assert same == [(0, 4), (2, 5)]
    assert [pair.distance for pair in near[:2]] == [0, 0]
    assert near[0].tiles["train"] == near[0].tiles["test"] == leaks.tile_of(plan, 0)
    assert leaks.tile_name(plan, 5) == "tile 2 of pannuke fold1"
    assert leaks.compare_pixels(plan.assign(split="train")) == ([], [])


def test_a_hash_by_hand() -> None:
    rising = np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1))
    image = np.repeat(rising[..., None], 3, axis=2)
    assert leaks.difference_hash(image) == np.uint64(2**64 - 1)
    assert leaks.difference_hash(image[:, ::-1].copy()) == np.uint64(0)


def test_near_pairs_are_those_of_two_loops() -> None:
    random = np.random.default_rng(0)
    hashes = np.array([1 << int(i) for i in random.integers(0, 64, 40)], np.uint64) | np.uint64(7)
    hashes[20:] = random.integers(0, 2**63, 20, np.uint64)
    sides = random.choice(["train", "test"], 40)
    expected = {
        (bin(int(hashes[i]) ^ int(hashes[j])).count("1"), i, j)
        for i in range(40)
        for j in range(i + 1, 40)
        if sides[i] != sides[j]
    }
    found = set(leaks.near_pairs(hashes, sides))
    assert found == {pair for pair in expected if pair[0] <= leaks.DISTANCE}
    assert 0 < len(found) < len(expected)
