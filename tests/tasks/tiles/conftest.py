"""Tiles that are dark where they hold the target, every second one; each side of the split is a slide."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.paths import plan_folder
from pipeline.plans.job import Job
from pipeline.tiles.plan import COLUMNS, write_plan
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.tiny_study import DRAWN, SIZE, STUDY, job_of, set_params

BIT = 4  # of UDH, the third class
SIDES = {"train": 12, "validation": 4, "test": 4}
TRAIN = {"epochs": 2, "patience": 2, "batch": 4, "learning_rate": 0.001}
LOSS = {"cross_entropy": 1, "dice": 0, "focal": 0}
VARIANTS = {
    "sorter": {"task": "tiles", "encoder": "mobilenet_v2", "train": {**TRAIN, "loss": LOSS}},
    "started": {
        "encoder": "mobilenet_v2",
        "model": {"weights": "models/tiny/run{run}/seed{seed}/sorter-balanced/weights/model.safetensors"},
    },
}


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A classifier of tiles, not trained yet, of the tiny study, which lies in the working directory."""
    monkeypatch.chdir(tmp_path)
    set_params(tmp_path, "bracs", compare=["unet"], classifiers=["sorter"], started=["started"], variants=VARIANTS)
    info = ShardInfo("bracs", ("background", "N", "PB", "UDH"), 0.25, 40.0, "sample", "a" * 64, DRAWN, "", "")
    rows = []
    for side, count in SIDES.items():
        with ShardWriter(tmp_path / f"data/tiles/bracs/{side}.h5", count, SIZE, info, bits=True) as writer:
            for index in range(count):
                bits = np.zeros((SIZE, SIZE), np.uint8)
                bits[:2, :2] = BIT * (index % 2)
                image = np.full((SIZE, SIZE, 3), 220 - 150 * (index % 2), np.uint8)
                writer.add(Tile(image, bits * 0, np.zeros((SIZE, SIZE), np.int32), {}, index, bits=bits))
                rows.append(("bracs", side, index, side, side, 0, 0, 0.25, side, 0, "{}"))
    plan = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("split", "balanced"):
        write_plan(plan, plan_folder(STUDY, 1) / f"{name}.csv")
    return job_of("sorter", "balanced")
