"""What the tiles of a plan hold, as annotated, at native size: how many nuclei of each class, which lesion."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.tiles.plan import TILE
from pipeline.tiles.store import Shard


def count_nuclei(plan: pd.DataFrame, classes: int, root: Path = Path("data/tiles")) -> npt.NDArray[np.int64]:
    """Nuclei of each class code (columns) in the tile of every row of a plan, (rows, C) int64."""
    result = np.zeros((len(plan), classes), np.int64)
    rows = plan.reset_index(drop=True)
    for (dataset, name), tiles in rows.groupby(["dataset", "shard"]):
        shard = Shard(root / str(dataset) / f"{name}.h5")
        nuclei = shard.nuclei()
        counts = np.zeros((len(shard), classes), np.int64)
        np.add.at(counts, (nuclei["tile"], nuclei["class"]), 1)
        result[tiles.index] = counts[tiles["index"]]
    return result


def has_lesion(plan: pd.DataFrame, target: str, root: Path = Path("data/tiles")) -> npt.NDArray[np.bool_]:
    """Whether the tile of each row has a pixel of this lesion type, (rows,)."""
    shards: dict[Path, Shard] = {}
    found = []
    for dataset, name, index in plan[TILE].itertuples(index=False):
        path = root / dataset / f"{name}.h5"
        found.append(bool(shards.setdefault(path, Shard(path)).lesion(index, target).any()))
    return np.array(found, np.bool_)
