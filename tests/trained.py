"""What `train` and `predict` tell of themselves, made up: training.json, curves.csv, speed.json."""

from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.base.records import Speed, Training, TrainingMachine

MACHINE = TrainingMachine(
    seconds=12.3, device="a made-up device", precision="32-true", threads=1, torch="0", python="0", platform="nowhere"
)


def write_training(folder: Path, curves: pd.DataFrame, variant: str, plan: str, **values: Any) -> None:
    """Fill the training/ of a variant's folder; `values` are further fields of training.json, or others than usual."""
    (folder / "training").mkdir(parents=True, exist_ok=True)
    curves.to_csv(folder / "training" / "curves.csv", index=False)
    usual: dict[str, Any] = {
        "run": 1,
        "seed": 42,
        "title": f"{variant}-random-{plan}",
        "weights": "random",
        "examples": {"train": 8, "validation": 8},
        "epochs_run": len(curves),
        "best_epoch": max(1, len(curves) - 1),
        "stopped_early": False,
        "parameters": 5,
        "trainable_parameters": 4,
        "weights_sha256": "c" * 64,
        "store_sha256": {values["study"]: "a" * 64},
        "machine": MACHINE,
    }
    Training(variant=variant, plan=plan, **(usual | values)).write(folder / "training" / "training.json")


def write_speed(folder: Path, images: int, **values: Any) -> None:
    """Write speed.json into the predictions/ of a variant's folder; `values` as in `write_training`."""
    usual: dict[str, Any] = {
        "device": MACHINE.device,
        "parameters": 5,
        "flops_per_image": 7,
        "images_per_second": {"1": 10.0, "16": 25.0},
        "best_batch": "16",
        "seconds": 1.5,
    }
    Speed(images=images, **(usual | values)).write(folder / "predictions" / "speed.json")
