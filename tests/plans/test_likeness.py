"""Tiles that look alike are found together, in whatever order and number they come; those that show nothing are not."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.plans.likeness import DISTANCE, difference_hash, groups, has_texture

SIDES = ("train", "validation", "test")


def textured(side: int, seed: int) -> np.ndarray:
    """A tile of its own with soft blots."""
    coarse = np.random.default_rng(seed).integers(40, 220, (8, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def test_a_hash_by_hand() -> None:
    rising = np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1))
    image = np.repeat(rising[..., None], 3, axis=2)
    assert difference_hash(image) == np.uint64(2**64 - 1)
    assert difference_hash(image[:, ::-1].copy()) == np.uint64(0)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([32, 64, 256]), st.sampled_from(["one", "border", "glass", "tissue"]))
def test_what_shows_nothing_has_no_texture(seed: int, side: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    image = np.full((side, side, 3), random.integers(0, 256, 3), np.uint8)
    if kind == "border":  # beyond the slide's border it is white
        image[random.integers(0, side) :] = 255
        image[:, random.integers(0, side) :] = 255
    elif kind == "glass":
        image = np.clip(random.normal(240, 1.5, image.shape), 0, 255).astype(np.uint8)
    elif kind == "tissue":
        image = textured(side, seed)
    assert has_texture(image) == (kind == "tissue")


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_texture_of_one_channel_is_seen(channel: int) -> None:
    image = np.full((64, 64, 3), 200, np.uint8)
    image[::2, ::2, channel] = 0
    assert has_texture(image)
    image[::2, ::2, channel] = 200
    image[:2, :2, channel] = 0  # as little as a corner
    assert not has_texture(image)


def brute(hashes: list[int], sides: list[str]) -> set[tuple[int, frozenset[int]]]:
    """Groups by comparing every two, and joining until nothing changes."""
    found = [{row} for row in range(len(hashes))]
    near = {(i, j) for i, j in combinations(range(len(hashes)), 2) if (hashes[i] ^ hashes[j]).bit_count() <= DISTANCE}
    for i, j in sorted(near):
        one, other = (next(group for group in found if row in group) for row in (i, j))
        if one is not other:
            found.remove(other)
            one |= other
    result = set()
    for group in found:
        apart = [(hashes[i] ^ hashes[j]).bit_count() for i, j in near if i in group and sides[i] != sides[j]]
        if apart:
            result.add((min(apart), frozenset(group)))
    return result


flips = st.lists(st.integers(0, 63), max_size=4)


@st.composite
def tiles(draw: st.DrawFn) -> tuple[list[int], list[str]]:
    """Hashes around a few others, and sides."""
    centres = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    hashes = []
    for _ in range(draw(st.integers(1, 40))):
        value = draw(st.sampled_from(centres))
        for bit in draw(flips):
            value ^= 1 << bit
        hashes.append(value)
    return hashes, [draw(st.sampled_from(SIDES)) for _ in hashes]


@settings(deadline=None)
@given(tiles(), st.randoms())
def test_groups_are_those_of_two_loops_in_any_order(found: tuple[list[int], list[str]], random: object) -> None:
    hashes, sides = found
    expected = brute(hashes, sides)
    order = list(range(len(hashes)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for rows in (list(range(len(hashes))), order):
        mine = groups(np.array([hashes[row] for row in rows], np.uint64), np.array([sides[row] for row in rows]))
        assert {(group.distance, frozenset(rows[place] for place in group.rows)) for group in mine} == expected
        assert [group.distance for group in mine] == sorted(group.distance for group in mine)
        for group in mine:
            one, other = (rows[place] for place in group.nearest)
            assert sides[one] != sides[other] and {*group.nearest} <= {*group.rows.tolist()}
            assert (hashes[one] ^ hashes[other]).bit_count() == group.distance


def test_none_are_none() -> None:
    assert groups(np.zeros(0, np.uint64), np.array([], str)) == []


@pytest.mark.parametrize("bits", [8, 24])
def test_a_crowd_takes_no_longer_a_tile_than_a_few(bits: int) -> None:
    """20,000 tiles whose hashes differ in some of the last bits alone, all of one group or of many."""
    hashes = np.random.default_rng(0).integers(0, 2**bits, 20_000, np.uint64)
    found = groups(hashes, np.array([*SIDES, "train"] * 5_000))
    assert sum(len(group.rows) for group in found) > 10_000
