"""How images are cut and dealt out: the size of tiles, how many that makes, and which sides a split can have."""

from collections.abc import Sequence
from typing import TypeVar

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.datasets.masks.reader import corners
from pipeline.plans.split import BLOCKS, deal
from pipeline.tiles.plan import SPLITS

T = TypeVar("T")
SIZES = range(32, 513, 32)  # px a side, of tiles
USUAL = 256
SPARE = 0.05  # of the area of all tiles: padding beyond the least that is borne for a more usual size
FRACTIONS = ((20, (0.6, 0.2, 0.2)), (6, (0.5, 0.15, 0.35)), (2, (0.6, 0.0, 0.4)))  # from so many patients or images on
ENOUGH = 10  # units on the test side, below which a verdict is hardly possible


def tile_size(sizes: Sequence[tuple[int, int]]) -> int:
    """The side of tiles in px that leaves little of them empty: images (height, width) are seldom multiples of it."""
    padding = {size: 1 - _area(sizes) / (count_tiles(sizes, size) * size * size) for size in SIZES}
    least = min(padding.values())
    return min((size for size in SIZES if padding[size] <= least + SPARE), key=lambda size: (abs(size - USUAL), size))


def evenly(items: Sequence[T], most: int) -> list[T]:
    """So many of some items at most, evenly over all of them."""
    return list(items[:: max(1, len(items) // most)][:most])


def count_tiles(sizes: Sequence[tuple[int, int]], size: int) -> int:
    """How many tiles images (height, width) are cut into."""
    return sum(len(corners(height, width, size)) for height, width in sizes)


def _area(sizes: Sequence[tuple[int, int]]) -> int:
    return sum(height * width for height, width in sizes)


def fractions(names: Sequence[str], tiles: Sequence[int], seed: int) -> tuple[float, float, float]:
    """Which parts of patients, or images, train, validate and test; where they are few none validates.

    Args:
        names: of the patient or image of each image.
        tiles: of each image.
        seed: of plans; with it every side that is wanted has a tile.

    Raises:
        Problem: there are not two, so that what is tested would be what was trained on.
    """
    owners = pd.Series([name for name, count in zip(names, tiles, strict=True) for _ in range(count)])
    units = owners.nunique()
    if units < 2:
        raise Problem(
            f"there is {_alone(names)}, and a model is tested on others than it was trained on; give two"
            f"{', or leave the patients out: then images are split, and the report warns' * (len(names) > 1)}."
        )
    for least, parts in FRACTIONS:
        wanted = {side for side, part in zip(SPLITS, parts, strict=True) if part}
        if units >= least and set(deal(owners, list(parts), 1, seed, {}).values()) >= wanted:
            return parts
    return FRACTIONS[-1][1]


def _alone(names: Sequence[str]) -> str:
    """What there is one of."""
    return "one patient alone" if len(names) > 1 else "one image of one tile alone"


def blocks(tiles: int) -> list[str]:
    """The blocks that one image or slide of so many tiles is split in, at most."""
    return [f"block {number}" for number in range(min(tiles, BLOCKS**2))]


def count_tested(names: Sequence[str], tiles: Sequence[int], parts: tuple[float, float, float], seed: int) -> int:
    """How many patients, or images, a split tests on."""
    owners = pd.Series([name for name, count in zip(names, tiles, strict=True) for _ in range(count)])
    return list(deal(owners, list(parts), 1, seed, {}).values()).count("test")
