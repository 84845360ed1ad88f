"""Refuse a split that leaks: `python -m pipeline.stages.guard <study> <run>`.

In:  split.csv and the tile store. Out: leaks.json, only if nothing leaks: tiles on each side, and pairs of tiles on two
     sides that look nearly alike, for a person to judge.

No plan to train on is made before this has passed. Refused are a patient, slide or source tile on two sides (see
`pipeline.tiles.plan.check_plan`), and two tiles on two sides that have the same pixels, whatever they are called.

`split.by: tile` and `image` ask for a split that leaks, as some papers have it. Then what leaks is not refused but
listed in leaks.json, under `leaks`, for the report to say.
"""

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image as PillowImage

from pipeline.base.errors import Problem, run_stage
from pipeline.base.files import write_json
from pipeline.base.params import read_params
from pipeline.tiles.plan import SPLITS, TILE, check_plan, parted, plan_folder, read_plan
from pipeline.tiles.store import Image, Shard

DISTANCE = 3  # of 64 bits: tiles whose hashes differ in so few are listed


def main() -> None:
    parser = argparse.ArgumentParser(description="Refuse a split that leaks.")
    parser.add_argument("study")
    parser.add_argument("run", type=int)
    arguments = parser.parse_args()
    params = read_params()
    split = params.study(arguments.study).split
    folder = plan_folder(arguments.study, arguments.run, params.seed)
    plan = read_plan(folder / "split.csv")
    check_plan(plan, split.leaky)
    near, same = compare_pixels(plan)
    if same and not split.leaky:
        first, second = (f"{tile_name(plan, row)} on the side {plan['split'][row]}" for row in same[0])
        raise Problem(
            f"the plan puts {first} and {second}, and both have the same pixels; remove one of them from the data, or"
            " split anew."
        )
    counts = plan["split"].value_counts()
    tiles = {side: int(counts.get(side, 0)) for side in SPLITS}
    leaks = {what: len(names) for what, names in parted(plan).items()} | {"identical tiles": len(same)}
    told = {"leaks": leaks} if split.leaky else {}
    write_json(folder / "leaks.json", {"tiles": tiles, "distance": DISTANCE, "near_duplicates": near, **told})
    if split.leaky:
        listed = ", ".join(f"{what} {count:,}" for what, count in leaks.items())
        print(f"split.by is {split.by}, so this split leaks, as asked for. On two sides: {listed}.")
    else:
        print(f"Nothing leaks; {len(near)} pairs of tiles on two sides look nearly alike.")


def compare_pixels(plan: pd.DataFrame) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
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
        {
            "distance": distance,
            **{str(sides[row]): tile_of(plan, row) for row in (first, second)},
        }
        for distance, first, second in pairs
    ]
    return near, same


def images(plan: pd.DataFrame, root: Path = Path("data/tiles")) -> Iterator[Image]:
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


def tile_of(plan: pd.DataFrame, row: int) -> dict[str, Any]:
    """What names the tile of a row."""
    dataset, shard, index = plan[TILE].iloc[row]
    return {"dataset": str(dataset), "shard": str(shard), "index": int(index)}


def tile_name(plan: pd.DataFrame, row: int) -> str:
    """A tile as a person finds it."""
    return "tile {index} of {dataset} {shard}".format(**tile_of(plan, row))


if __name__ == "__main__":
    run_stage(main)
