"""Tiles that look alike are found by their hashes."""

import numpy as np

from pipeline.plans import leaks


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
