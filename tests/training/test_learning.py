"""The stages, run one after the other without DVC, on data where the outcome is known, and on real tiles."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline.commands.paper import apply

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


class Stages:
    """An empty folder with params.yaml in it, in which stages run one by one."""

    def __init__(self, folder: Path, **values: Any) -> None:
        self.folder = folder
        shutil.copy(ROOT / "params.yaml", folder)
        apply(folder / "params.yaml", {key.replace("__", "."): value for key, value in values.items()})

    def run(self, *stages: str) -> None:
        """Run stages, each named as on the command line after `python -m pipeline.`."""
        for stage in stages:
            name, *arguments = stage.split()
            done = subprocess.run(
                [sys.executable, "-m", f"pipeline.stages.{name}", *arguments],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr

    def train_and_score(self, variant: str) -> dict[str, float]:
        """Train, predict and evaluate a variant; return its scores."""
        self.run(f"train pannuke 1 {variant}", f"predict pannuke 1 {variant}", f"evaluate pannuke {variant}")
        record = json.loads((self.evaluation(variant) / "metrics.json").read_text())
        scores: dict[str, float] = record["runs"][0]["scores"]
        return scores

    def curves(self, variant: str) -> pd.DataFrame:
        """The learning curves of a variant."""
        return pd.read_csv(self.evaluation(variant) / "curves.csv")

    def evaluation(self, variant: str) -> Path:
        """What `evaluate` wrote of a variant."""
        return self.folder / "models/pannuke/evaluation" / variant.replace(" ", "-")


DATA = ("check", "download pannuke", "convert pannuke", "split pannuke 1", "guard pannuke 1", "balance pannuke 1")


def shuffle_labels(shard: Path) -> None:
    """Give every tile's image the class map of another tile."""
    with h5py.File(shard, "r+") as file:
        order = np.roll(np.arange(len(file["classes"])), 7)
        for name in ("classes", "instances"):
            file[name][:] = file[name][:][order]


def test_shuffled_labels_score_near_chance(tmp_path: Path) -> None:
    # Metrics that cannot fail would score this well: images whose labels belong to other tiles.
    stages = Stages(tmp_path, pannuke__train__epochs=6, pannuke__predict__speed_batches=[1])
    stages.run(*DATA)
    right = stages.train_and_score("unet-bn plain")
    for shard in (tmp_path / "data/tiles/pannuke").glob("*.h5"):
        shard.chmod(0o644)
        shuffle_labels(shard)
    shutil.rmtree(tmp_path / "models")
    wrong = stages.train_and_score("unet-bn plain")
    background_alone = 0.11  # mean IoU of a constant prediction on the drawn tiles
    assert right["mean_iou"] > 2 * background_alone
    assert wrong["mean_iou"] < 1.3 * background_alone


@pytest.mark.real
def test_real_tiles_are_converted_and_learned(tmp_path: Path, real_data: Path) -> None:
    # Three real breast tiles of one fold: one trains, one validates, one tests.
    stages = Stages(
        tmp_path,
        datasets__pannuke__source=str(real_data / "pannuke"),
        pannuke__split__by="random",
        pannuke__split__fractions=[0.34, 0.33, 0.33],
        pannuke__train__epochs=40,
        pannuke__predict__speed_batches=[1],
    )
    stages.run(*DATA)
    scores = stages.train_and_score("unet-bn plain")
    losses = stages.curves("unet-bn plain")["train_loss"]
    assert losses.iloc[-1] < 0.7 * losses.iloc[0]
    assert 0 < scores["mean_iou"] < 1
    description = json.loads((tmp_path / "models/pannuke/run1/seed42/unet-bn-plain/weights/model.json").read_text())
    assert description["licence"] == "CC BY-NC-SA 4.0"
    assert description["sample"] is False
