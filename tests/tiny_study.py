"""A study small enough to train in a second: tiles of 32 px whose classes a colour tells apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from pipeline.base.files import write_json
from pipeline.tiles.plan import COLUMNS, plan_folder, write_plan
from pipeline.tiles.store import IGNORE, ShardInfo, ShardWriter, Tile

ROOT = Path(__file__).parents[1]
CLASSES = ("background", "neoplastic", "inflammatory", "connective", "dead", "epithelial")
SIZE = 32  # px
TINY = {
    "pannuke.tile_size": SIZE,
    "pannuke.model.weights": "random",
    "pannuke.model.width": 8,
    "pannuke.model.decoder_channels": [32, 16, 8],
    "pannuke.train.epochs": 4,
    "pannuke.train.patience": 4,
    "pannuke.train.batch": 4,
    "pannuke.train.learning_rate": 0.003,
    "pannuke.train.workers": 0,
    "pannuke.predict.batch": 4,
    "pannuke.predict.speed_batches": [1, 2],
    "seed": 42,
    "pannuke.runs": {"first": 1, "second": 1, "third": 1},
}


def make_tiny_study(folder: Path, tiles: int = 8, **changes: Any) -> None:
    """Write params.yaml, a source record, a tile store and plans; `changes` are keys with `__` for a dot."""
    set_params(folder, **changes)
    write_json(folder / "data/raw/pannuke/SOURCE.json", {"source": "sample", "licence": "none: drawn tiles"})
    rng = np.random.default_rng(0)
    info = ShardInfo("pannuke", CLASSES, 0.25, 40.0, "sample", "a" * 64, "none: drawn tiles", "", "")
    rows = []
    for number, side in enumerate(("train", "validation", "test"), start=1):
        path = folder / f"data/tiles/pannuke/fold{number}.h5"
        with ShardWriter(path, tiles, SIZE, info) as shard:
            for index in range(tiles):
                shard.add(draw_tile(rng, index))
                rows.append(("pannuke", f"fold{number}", index, "", "", 0, 0, 0.25, side, 0, "{}", 1.0))
    plan = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("split", "plain"):
        write_plan(plan, folder / plan_folder("pannuke", 1, 42) / f"{name}.csv")


def set_params(folder: Path, **changes: Any) -> None:
    """Write the project's params.yaml with the tiny study's values, and `changes`."""
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key, value in {**TINY, **{name.replace("__", "."): value for name, value in changes.items()}}.items():
        *blocks, last = key.split(".")
        block = params
        for name in blocks:
            block = block[name]
        block[last] = value
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(params, file)


def draw_tile(rng: np.random.Generator, index: int) -> Tile:
    """Blocks of three classes, each in its colour, and a corner to ignore."""
    class_map = np.kron(rng.integers(0, 3, (4, 4)), np.ones((8, 8))).astype(np.uint8)
    image = np.array([[230, 180, 210], [150, 80, 160], [60, 30, 90]])[class_map] + rng.normal(0, 10, (SIZE, SIZE, 3))
    class_map[:4, :4] = IGNORE
    return Tile(
        np.clip(image, 0, 255).astype(np.uint8), class_map, np.zeros((SIZE, SIZE), np.int32), {}, index, group="Breast"
    )
