"""How many nuclei of each class the tiles of a plan hold, as annotated, at native size."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.tiles import Shard


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
