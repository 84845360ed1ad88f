"""Tiles on two sides of a split that are, or look, the same."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image as PillowImage

from pipeline.base.paths import TILES
from pipeline.base.records import NearDuplicate, TileName
from pipeline.tiles.plan import TILE
from pipeline.tiles.store import Image, Shard

DISTANCE = 3  # of 64 bits: tiles whose hashes differ in so few are listed


def compare_pixels(plan: pd.DataFrame) -> tuple[list[NearDuplicate], list[tuple[int, int]]]:
    """Pairs of tiles on two sides that look nearly alike, and rows of those that have the same pixels.

    The first are at most `DISTANCE` bits of their difference hashes apart, the nearest first. One tile is in memory at
    a time; what is kept of each is 8 bytes and a checksum.
    """
    hashes = np.zeros(len(plan), np.uint64)
    first_with: dict[bytes, int] = {}
    same = []
    sides = plan["split"].to_numpy()
    for row, image in enumerate(images(plan)):
        hashes[row] = difference_hash(image)
        digest = hashlib.blake2b(image.tobytes() + str(image.shape).encode(), digest_size=16).digest()
        other = first_with.setdefault(digest, row)
        if sides[other] != sides[row]:
            same.append((other, row))
    pairs = sorted(near_pairs(hashes, sides))
    near = [
        NearDuplicate(distance=distance, tiles={str(sides[row]): tile_of(plan, row) for row in (first, second)})
        for distance, first, second in pairs
    ]
    return near, same


def images(plan: pd.DataFrame, root: Path = TILES) -> Iterator[Image]:
    """The image of every row, at native size."""
    shards: dict[Path, Shard] = {}
    for dataset, name, index in plan[TILE].itertuples(index=False):
        path = root / dataset / f"{name}.h5"
        yield shards.setdefault(path, Shard(path)).image(index)


def difference_hash(image: Image) -> np.uint64:
    """64 bits that small changes of an image leave as they are: is each of 8 x 8 grey areas darker than its right one.

    dHash, after N. Krawetz, "Kind of Like That", 2013.
    """
    grey = PillowImage.fromarray(image).convert("L").resize((9, 8), PillowImage.Resampling.BOX)
    values = np.asarray(grey, np.int16)
    return np.packbits(values[:, :-1] < values[:, 1:]).view(np.uint64)[0]


def near_pairs(hashes: npt.NDArray[np.uint64], sides: npt.NDArray[Any]) -> Iterator[tuple[int, int, int]]:
    """Distance (bits) and rows, in order, of every pair on two sides at most `DISTANCE` apart."""
    for row in range(len(hashes)):
        distances = np.bitwise_count(hashes[row + 1 :] ^ hashes[row])
        near = np.flatnonzero((distances <= DISTANCE) & (sides[row + 1 :] != sides[row]))
        yield from ((int(distances[place]), row, row + 1 + int(place)) for place in near)


def tile_of(plan: pd.DataFrame, row: int) -> TileName:
    """What names the tile of a row."""
    dataset, shard, index = plan[TILE].iloc[row]
    return TileName(dataset=str(dataset), shard=str(shard), index=int(index))


def tile_name(plan: pd.DataFrame, row: int) -> str:
    """A tile as a person finds it."""
    tile = tile_of(plan, row)
    return f"tile {tile.index} of {tile.dataset} {tile.shard}"
