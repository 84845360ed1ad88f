"""A study small enough to train in a second: tiles of 32 px whose classes a colour tells apart."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from pipeline.base.paths import plan_folder
from pipeline.base.study import read_study, variant
from pipeline.plans.job import Job
from pipeline.tiles.plan import COLUMNS, write_plan
from pipeline.tiles.store import IGNORE, ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter

ROOT = Path(__file__).parents[1]
STUDY = "tiny"
CLASSES = ("background", "neoplastic", "inflammatory", "connective", "dead", "epithelial")
SIZE = 32  # px
DRAWN = "none: drawn tiles"
INFO = ShardInfo("pannuke", CLASSES, 0.25, 40.0, "sample", "a" * 64, DRAWN, "", "")
TINY = {
    "tile_size": SIZE,
    "model.weights": "random",
    "model.width": 8,
    "model.decoder_channels": [32, 16, 8],
    "train.epochs": 4,
    "train.patience": 4,
    "train.batch": 4,
    "train.learning_rate": 0.003,
    "train.workers": 0,
    "predict.batch": 4,
    "predict.speed_batches": [1, 2],
}


def make_tiny_study(folder: Path, tiles: int = 8, **changes: Any) -> None:
    """Write both params.yaml, a tile store and plans; `changes` of the study's are keys with `__` for a dot."""
    set_params(folder, **changes)
    rng = np.random.default_rng(0)
    rows = []
    for number, side in enumerate(("train", "validation", "test"), start=1):
        path = folder / f"data/tiles/pannuke/fold{number}.h5"
        with ShardWriter(path, tiles, SIZE, INFO) as shard:
            for index in range(tiles):
                shard.add(draw_tile(rng, index))
                rows.append(("pannuke", f"fold{number}", index, "", "", 0, 0, 0.25, side, 0, "{}"))
    plan = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("split", "plain"):
        write_plan(plan, folder / plan_folder(STUDY, 1) / f"{name}.csv")


def set_params(folder: Path, base: str = "pannuke", **changes: Any) -> None:
    """Write the project's params.yaml and the study's: that of the study `base`, the tiny values, and `changes`."""
    yaml = YAML(typ="safe")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "params.yaml", folder)
    params = yaml.load((ROOT / "studies" / base / "params.yaml").read_text(encoding="utf-8"))
    for key, value in {**TINY, **{name.replace("__", "."): value for name, value in changes.items()}}.items():
        *blocks, last = key.split(".")
        block = params
        for name in blocks:
            block = block[name]
        block[last] = value
    path = folder / "studies" / STUDY / "params.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def job_of(name: str, plan: str = "plain", run: int = 1, seed: int = 42) -> Job:
    """A job of the study in the working directory."""
    encoder, settings = variant(read_study(STUDY), name)
    return Job(STUDY, run, seed, name, plan, encoder, settings)


def draw_tile(rng: np.random.Generator, index: int) -> Tile:
    """Blocks of three classes, each in its colour and, but for the background, a nucleus; a corner to ignore."""
    blocks = rng.integers(0, 3, (4, 4))
    numbers = np.where(blocks > 0, np.arange(1, 17).reshape(4, 4), 0)
    class_map, instance_map = (np.kron(values, np.ones((8, 8), int)) for values in (blocks, numbers))
    image = np.array([[230, 180, 210], [150, 80, 160], [60, 30, 90]])[class_map] + rng.normal(0, 10, (SIZE, SIZE, 3))
    class_map[:4, :4] = IGNORE
    return Tile(
        np.clip(image, 0, 255).astype(np.uint8),
        class_map.astype(np.uint8),
        instance_map.astype(np.int32),
        dict(zip(numbers[blocks > 0].tolist(), blocks[blocks > 0].tolist(), strict=True)),
        index,
        group="Breast",
    )
