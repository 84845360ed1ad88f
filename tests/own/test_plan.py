"""How images are cut and dealt out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.own.plan import FRACTIONS, SIZES, count_tested, count_tiles, fractions, tile_size

Sizes = st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([(1000, 1000)], 256), ([(512, 512)], 256), ([(64, 64)], 64), ([(500, 500)], 256), ([(20, 20)], 32),
     ([(224, 224)], 224), ([(5000, 7000)], 256)],
)  # fmt: skip
def test_tiles_fit_the_images(sizes: list[tuple[int, int]], expected: int) -> None:
    assert tile_size(sizes) == expected


@given(Sizes)
def test_tiles_cover_every_pixel(sizes: list[tuple[int, int]]) -> None:
    size = tile_size(sizes)
    assert size in SIZES
    assert count_tiles(sizes, size) * size * size >= sum(height * width for height, width in sizes)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=30), st.integers(0, 5))
def test_somebody_trains_and_somebody_tests(tiles: list[int], seed: int) -> None:
    names = [f"patient {number}" for number in range(len(tiles))]
    parts = fractions(names, tiles, seed)
    assert parts in [each for _, each in FRACTIONS] and sum(parts) == pytest.approx(1)
    assert count_tested(names, tiles, parts, seed) < len(names)
    assert count_tested(names, [1] * len(names), parts, seed) > 0
