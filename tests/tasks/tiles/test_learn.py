import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.files import read_json, write_json
from pipeline.base.params import read_params
from pipeline.stages import train_classifier
from pipeline.tiles.plan import COLUMNS, plan_folder, write_plan
from pipeline.tiles.store import ShardInfo, ShardWriter, Tile
from tests.tiny_study import ROOT, set_params

BIT = 4  # of UDH, the third class
SIDES = {"train": 12, "validation": 4, "test": 4}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiles that are dark where they hold UDH, every second one, each side a slide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    classifier = {"encoder": "mobilenet_v2", "variants": [], "epochs": 2, "batch": 4, "learning_rate": 0.001}
    set_params(tmp_path, bracs__tile_size=32, bracs__classifier=classifier)
    write_json(tmp_path / "data/raw/bracs/SOURCE.json", {"source": "sample", "licence": "none: drawn tiles"})
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
                rows.append(("bracs", side, index, side, side, 0, 0, 0.25, side, 0, "{}", 1.0))
    plan = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("split", "balanced"):
        write_plan(plan, plan_folder("bracs", 1, 42) / f"{name}.csv")
    return tmp_path


@pytest.mark.slow
def test_it_trains_and_gives_each_tile_a_probability(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train_classifier", "bracs"])
    train_classifier.main()
    folder = project / "models/bracs/classifier"
    found = pd.read_csv(folder / "predictions/predictions.csv")
    assert found["split"].value_counts().to_dict() == SIDES
    assert found["probability"].between(0, 1).all()
    curves = pd.read_csv(folder / "training/curves.csv")
    assert len(curves) == 2
    assert curves["train_loss"].iloc[1] < curves["train_loss"].iloc[0]
    record = read_json(folder / "training/training.json")
    assert record["examples"] == {"train": 12, "validation": 4}
    assert read_json(folder / "weights/model.json")["licence"] == "none: drawn tiles"
    again = (folder / "weights/model.safetensors").read_bytes()
    train_classifier.main()
    assert (folder / "weights/model.safetensors").read_bytes() == again


def test_a_tile_with_one_pixel_of_the_target_has_it(project: Path) -> None:
    study = read_params().bracs
    plan = train_classifier.read_plan(plan_folder("bracs", 1, 42) / "balanced.csv")
    labelled = train_classifier.Labelled.of(plan, study).label("UDH")
    assert [int(labelled[i][1].item()) for i in range(4)] == [0, 1, 0, 1]
    assert labelled[0][1].shape == (1, 1)


def test_its_loss_is_cross_entropy_whatever_the_study_has() -> None:
    study = read_params(ROOT / "params.yaml").bracs
    train = train_classifier.train_settings(study)
    assert train.loss.model_dump() == {
        "cross_entropy": 1,
        "dice": 0,
        "focal": 0,
        "smooth": 1,
        "dice_background": True,
    }
    assert study.classifier is not None
    assert (train.epochs, train.batch) == (study.classifier.epochs, study.classifier.batch)
