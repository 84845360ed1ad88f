"""The stages, run one after the other without DVC, on data where the outcome is known, and on real tiles."""

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline.base import hdf5
from pipeline.base.params import Params
from pipeline.base.paths import evaluation_folder, variant_folder
from pipeline.base.records import Metrics, Model
from pipeline.base.schema import parse
from pipeline.base.study import parse_study
from pipeline.commands.paper import apply
from tests.command_line import asked

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
STUDY = "pannuke"
VARIANT = (1, 42, "unet-bn", "plain")


class Stages:
    """An empty folder with parameters in it, in which stages run one by one."""

    def __init__(self, folder: Path, **values: Any) -> None:
        self.folder = folder
        path = folder / "studies" / STUDY / "params.yaml"
        path.parent.mkdir(parents=True)
        shutil.copy(ROOT / "params.yaml", folder)
        shutil.copy(ROOT / "studies" / STUDY / "params.yaml", path)
        changes = {key.replace("__", "."): value for key, value in values.items()}
        apply(path, changes, partial(parse_study, path=path))

    def run(self, *stages: str) -> None:
        """Run stages, each named as on the command line after `python -m pipeline.stages.`."""
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

    def train_and_score(self) -> dict[str, Any]:
        """Train, predict and evaluate the variant; return its scores."""
        self.run(*(f"{stage} {' '.join(asked(STUDY, *VARIANT))}" for stage in ("train", "predict", "evaluate")))
        return Metrics.read(self.evaluation / "metrics.json").scores

    def curves(self) -> pd.DataFrame:
        """The learning curves of the variant."""
        return pd.read_csv(self.evaluation / "curves.csv")

    @property
    def evaluation(self) -> Path:
        """What `evaluate` wrote of the variant."""
        return self.folder / evaluation_folder(STUDY, *VARIANT)


DATA = (
    "check",
    f"check {STUDY}",
    "download pannuke",
    "convert pannuke",
    f"split {STUDY} --run 1",
    f"guard {STUDY} --run 1",
    f"balance {STUDY} --run 1",
)


def shuffle_labels(shard: Path) -> None:
    """Give every tile's image the maps of another tile, with their checksums."""
    with h5py.File(shard, "r+") as file:
        order = np.roll(np.arange(len(file["classes"])), 7)
        for name in ("classes", "instances"):
            for array in (file[name], file[f"{hdf5.SUMS}/{name}"]):
                array[:] = array[:][order]


def test_shuffled_labels_score_near_chance(tmp_path: Path) -> None:
    # Metrics that cannot fail would score this well: images whose labels belong to other tiles.
    stages = Stages(tmp_path, train__epochs=6, predict__speed_batches=[1])
    stages.run(*DATA)
    right = stages.train_and_score()
    for shard in (tmp_path / "data/tiles/pannuke").glob("*.h5"):
        shard.chmod(0o644)
        shuffle_labels(shard)
    shutil.rmtree(tmp_path / "models")
    wrong = stages.train_and_score()
    background_alone = 0.11  # mean IoU of a constant prediction on the drawn tiles
    assert right["mean_iou"] > 2 * background_alone
    assert wrong["mean_iou"] < 1.3 * background_alone


@pytest.mark.real
def test_real_tiles_are_converted_and_learned(tmp_path: Path, real_data: Path) -> None:
    # Three real breast tiles of one fold: one trains, one validates, one tests.
    stages = Stages(
        tmp_path,
        split__by="random",
        split__fractions=[0.34, 0.33, 0.33],
        train__epochs=40,
        predict__speed_batches=[1],
    )
    source = {"datasets.pannuke.source": str(real_data / "pannuke")}
    apply(tmp_path / "params.yaml", source, partial(parse, Params, name="params.yaml"))
    stages.run(*DATA)
    scores = stages.train_and_score()
    losses = stages.curves()["train_loss"]
    assert losses.iloc[-1] < 0.7 * losses.iloc[0]
    assert 0 < scores["mean_iou"] < 1
    model = Model.read(tmp_path / variant_folder(STUDY, *VARIANT) / "weights/model.json")
    assert model.licence == "CC BY-NC-SA 4.0"
    assert model.sample is False
