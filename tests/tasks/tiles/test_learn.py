"""A classifier of tiles learns whether the target is anywhere in a tile, and predicts it for every tile."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline.base.paths import plan_folder
from pipeline.base.records import Model, Training
from pipeline.base.study import read_study
from pipeline.stages import predict, train
from pipeline.tasks.tiles.learn import Labelled
from pipeline.tiles.plan import COLUMNS, read_plan, write_plan
from pipeline.tiles.store import ShardInfo, ShardWriter, Tile
from tests.tiny_study import ROOT

BIT = 4  # of UDH, the third class
SIDES = {"train": 12, "validation": 4, "test": 4}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiles that are dark where they hold UDH, every second one, each side a slide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    study = YAML(typ="safe").load((ROOT / "studies/bracs/params.yaml").read_text(encoding="utf-8"))
    own = {"epochs": 2, "patience": 2, "batch": 4, "loss": {"cross_entropy": 1, "dice": 0, "focal": 0}}
    study["variants"] = {"tiles": {"task": "tiles", "encoder": "mobilenet_v2", "train": own}}
    study |= {"tile_size": 32, "compare": ["unet"], "started": [], "classifiers": ["tiles"]}
    (tmp_path / "studies/bracs").mkdir(parents=True)
    with (tmp_path / "studies/bracs/params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(study, file)
    info = ShardInfo(
        "bracs", ("background", "N", "PB", "UDH"), 0.25, 40.0, "sample", "a" * 64, "none: drawn tiles", "", ""
    )
    rows = []
    for side, count in SIDES.items():
        with ShardWriter(tmp_path / f"data/tiles/bracs/{side}.h5", count, 32, info, bits=True) as writer:
            for index in range(count):
                bits = np.zeros((32, 32), np.uint8)
                bits[:2, :2] = BIT * (index % 2)
                image = np.full((32, 32, 3), 220 - 150 * (index % 2), np.uint8)
                writer.add(Tile(image, bits * 0, np.zeros((32, 32), np.int32), {}, index, bits=bits))
                rows.append(("bracs", side, index, side, side, 0, 0, 0.25, side, 0, "{}"))
    plan = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("split", "balanced"):
        write_plan(plan, plan_folder("bracs", 1) / f"{name}.csv")
    return tmp_path


@pytest.mark.slow
def test_it_trains_and_gives_each_tile_a_probability(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train", "bracs", "1", "42", "tiles", "balanced"])
    train.main()
    predict.main()
    folder = project / "models/bracs/run1/seed42/tiles-balanced"
    found = pd.read_csv(folder / "predictions/predictions.csv")
    assert found["split"].value_counts().to_dict() == SIDES
    assert found["probability"].between(0, 1).all()
    curves = pd.read_csv(folder / "training/curves.csv")
    assert len(curves) == 2
    assert curves["train_loss"].iloc[1] < curves["train_loss"].iloc[0]
    assert Training.read(folder / "training/training.json").examples == {"train": 12, "validation": 4}
    assert Model.read(folder / "weights/model.json").licence == "none: drawn tiles"
    again = (folder / "weights/model.safetensors").read_bytes()
    train.main()
    assert (folder / "weights/model.safetensors").read_bytes() == again


@pytest.mark.usefixtures("project")
def test_a_tile_with_one_pixel_of_the_target_has_it() -> None:
    plan = read_plan(plan_folder("bracs", 1) / "balanced.csv")
    labelled = Labelled.of(plan, read_study("bracs")).label("UDH")
    assert [int(labelled[i][1].item()) for i in range(4)] == [0, 1, 0, 1]
    assert labelled[0][1].shape == (1, 1)
