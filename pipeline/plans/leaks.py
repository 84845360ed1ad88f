"""Tiles on two sides of a split that are, or look, the same."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base.paths import TILES
from pipeline.base.records import NearDuplicates, TileName
from pipeline.plans.likeness import Alike, difference_hash, groups, has_texture
from pipeline.tiles.plan import SPLITS, TILE
from pipeline.tiles.store import Image, Shard

LISTED = 100  # groups of tiles that look alike; the others are counted


@dataclass(frozen=True)
class Likeness:
    """What the pixels of a plan's tiles tell."""

    same: list[dict[str, TileName]]  # of each picture that is on two sides: side -> the first tile, of two sides
    near: list[NearDuplicates]  # the nearest LISTED groups of tiles that look nearly alike, on two sides
    groups: int  # how many there are
    textureless: int  # tiles that show nothing and are compared with none


def compare_pixels(plan: pd.DataFrame) -> Likeness:
    """Tiles on two sides that have the same pixels, and groups of those that look nearly alike, whatever their order.

    One tile is in memory at a time; what is kept of each is 24 bytes.
    """
    plan = plan.sort_values(TILE, kind="stable", ignore_index=True)
    hashes, digests = np.zeros(len(plan), np.uint64), np.zeros((len(plan), 2), np.uint64)
    textured = np.zeros(len(plan), np.bool_)
    for row, image in enumerate(images(plan)):
        textured[row] = has_texture(image)
        hashes[row] = difference_hash(image)
        digest = hashlib.blake2b(image.tobytes() + str(image.shape).encode(), digest_size=16).digest()
        digests[row] = np.frombuffer(digest, np.uint64)
    shown = plan[textured].reset_index(drop=True)
    alike = groups(hashes[textured], shown["split"].to_numpy())
    near = [_listed(shown, group) for group in alike[:LISTED]]
    return Likeness(_same(shown, digests[textured]), near, len(alike), int((~textured).sum()))


def images(plan: pd.DataFrame, root: Path = TILES) -> Iterator[Image]:
    """The image of every row, at native size."""
    shards: dict[Path, Shard] = {}
    for dataset, name, index in plan[TILE].itertuples(index=False):
        path = root / dataset / f"{name}.h5"
        yield shards.setdefault(path, Shard(path)).image(index)


def tile_name(tile: TileName) -> str:
    """A tile as a person finds it."""
    return f"tile {tile.index} of {tile.dataset} {tile.shard}"


def _same(plan: pd.DataFrame, digests: npt.NDArray[np.uint64]) -> list[dict[str, TileName]]:
    picture = np.unique(digests, axis=0, return_inverse=True)[1].ravel()
    firsts = plan.assign(picture=picture).drop_duplicates(["picture", "split"])
    on_two = firsts[firsts.duplicated("picture", keep=False)].groupby("picture", sort=False).head(2)
    return [_by_side(plan, rows.index) for _, rows in on_two.groupby("picture", sort=False)]


def _listed(plan: pd.DataFrame, group: Alike) -> NearDuplicates:
    counts = plan["split"].iloc[group.rows].value_counts()
    tiles = {side: int(counts[side]) for side in SPLITS if side in counts}
    return NearDuplicates(distance=group.distance, nearest=_by_side(plan, group.nearest), tiles=tiles)


def _by_side(plan: pd.DataFrame, rows: Iterable[int]) -> dict[str, TileName]:
    found = plan.loc[list(rows), [*TILE, "split"]].itertuples(index=False)
    named = {side: TileName(dataset=dataset, shard=shard, index=index) for dataset, shard, index, side in found}
    return {side: named[side] for side in SPLITS if side in named}
