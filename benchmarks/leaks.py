"""Time, memory and length of what `guard` finds where all tiles look alike, as a ratio of tiles in one run.

Three folds of N tiles of one margin with other noise, so that no two have the same pixels and all hashes are near. Both
are measured with 100, 400 and 1,600 tiles a fold; and the grouping alone, with hashes that agree in 40 bits and lie
anywhere in the other 24. Exits 1 where four times the tiles take more than eight times the time, or the list
grows. Run as `python -m benchmarks.leaks`.
"""

import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.records import Leaks
from pipeline.plans.known import known, unknown
from pipeline.plans.leaks import compare_pixels
from pipeline.plans.likeness import DISTANCE, groups
from pipeline.tiles.plan import COLUMNS, SPLITS
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter

FOLD = (100, 400, 1_600)  # tiles of each of three folds
CROWD = (10_000, 40_000, 160_000)  # hashes
SIZE = 128  # px a side
MOST = 8  # times the time of a quarter of the tiles
INFO = ShardInfo("pannuke", ("background", "nucleus"), 0.25, 40, "sample", "0" * 64, "none: drawn tiles", "", "")


def write_alike(count: int) -> pd.DataFrame:
    """Three folds of tiles that look alike, and a plan with one on each side."""
    random = np.random.default_rng(count)
    ramp = np.add.outer(np.linspace(60, 150, SIZE), np.linspace(20, 90, SIZE))
    blank, rows = np.zeros((SIZE, SIZE), np.uint8), []
    for fold, side in enumerate(SPLITS, start=1):
        with ShardWriter(Path(f"data/tiles/pannuke/fold{fold}.h5"), count, SIZE, INFO) as shard:
            for index in range(count):
                image = np.clip(ramp[..., None] + random.normal(0, 6, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
                shard.add(Tile(image, blank, blank.astype(np.int32), {}, index))
                rows.append(["pannuke", f"fold{fold}", index, "", "", 0, 0, 0.25, side, 0, "{}"])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def guard(plan: pd.DataFrame) -> int:
    """What the stage does with the tiles, and the bytes of its leaks.json."""
    found, owners = compare_pixels(plan), known(plan)
    assert found.groups == 1 and not found.same
    record = Leaks(
        tiles={},
        known=owners,
        unknown=unknown(owners),
        textureless=found.textureless,
        distance=DISTANCE,
        near_duplicates=found.near,
        near_groups=found.groups,
        leaks={},
    )
    record.write(Path("leaks.json"))
    return Path("leaks.json").stat().st_size


def measure(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of the faster of two, MiB of Python's and NumPy's peak, and what came of it."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return min(seconds), peak, result


def main() -> None:
    slow = False
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        print("| alike tiles a fold | seconds | times | peak, MiB | leaks.json, bytes |\n|--:|--:|--:|--:|--:|")
        before, sizes = None, []
        for count in FOLD:
            plan = write_alike(count)
            seconds, peak, size = measure(partial(guard, plan))
            times = seconds / before if before else None
            slow |= times is not None and times > MOST
            print(f"| {count:,} | {seconds:.2f} | {f'{times:.1f}' if times else ''} | {peak:.1f} | {size:,} |")
            before = seconds
            sizes.append(size)
        slow |= sizes[-1] > 2 * sizes[0]
        os.chdir("/")
    print("\n| hashes in a crowd | seconds | times | peak, MiB |\n|--:|--:|--:|--:|")
    before = None
    for count in CROWD:
        hashes = np.random.default_rng(count).integers(0, 2**24, count, np.uint64)
        sides = np.resize(SPLITS, count)
        seconds, peak, _ = measure(partial(groups, hashes, sides))
        times = seconds / before if before else None
        slow |= times is not None and times > MOST
        print(f"| {count:,} | {seconds:.2f} | {f'{times:.1f}' if times else ''} | {peak:.1f} |")
        before = seconds
    sys.exit(slow)


if __name__ == "__main__":
    main()
