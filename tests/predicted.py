"""What `train` and `predict` leave of a U-Net, made up, so that scoring needs neither."""

import json
from collections.abc import Sequence

import h5py
import numpy as np
import pandas as pd

from pipeline.base.records import Speed, Training, TrainingMachine
from pipeline.tasks import Job
from pipeline.tiles.examples import Examples
from tests.tiny_study import CLASSES

MACHINE = TrainingMachine(
    seconds=12.3, device="cpu", precision="32-true", threads=1, torch="0", python="3", platform="nowhere"
)


def truth_of(job: Job, side: str = "test") -> np.ndarray:
    """The class maps of one side of the split, (N, H, W) uint8."""
    examples = Examples.of(job.rows(side), job.settings)
    return np.stack([examples.class_map(position) for position in range(len(examples))])


def write_predicted(
    job: Job, class_map: np.ndarray, classes: Sequence[str] = CLASSES, name: str = "predictions", soft: bool = False
) -> None:
    """Write class maps (N, H, W), where they are `soft` with a probability of 0.8 of the predicted class."""
    path = job.folder / "predictions" / f"{name}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = json.dumps(list(classes))
        file["class_map"] = class_map
        if soft:
            hits = class_map[:, None] == np.arange(len(classes))[:, None, None]
            file["probabilities"] = np.where(hits, 0.8, 0.2 / (len(classes) - 1)).astype(np.float16)
    rates = {"1": 10.0, "16": 25.0}
    Speed(
        device="cpu",
        parameters=5,
        flops_per_image=7,
        images_per_second=rates,
        best_batch="16",
        images=len(class_map),
        seconds=1.5,
    ).write(path.with_name("speed.json"))


def write_training(job: Job, weights: str = "random") -> None:
    """Write training.json and curves.csv of four epochs."""
    folder = job.folder / "training"
    folder.mkdir(parents=True)
    epochs = np.arange(1, 5)
    table = {"epoch": epochs, "train_loss": 1 / epochs, "validation_loss": 1.1 / epochs, "learning_rate": 0.001}
    pd.DataFrame(table).to_csv(folder / "curves.csv", index=False)
    Training(
        study=job.study,
        run=job.run,
        seed=job.seed,
        variant=job.variant,
        plan=job.plan,
        title=f"{job.variant}-random-{job.plan}",
        weights=weights,
        examples={"train": 8, "validation": 8},
        epochs_run=4,
        best_epoch=3,
        stopped_early=False,
        parameters=5,
        trainable_parameters=4,
        weights_sha256="c" * 64,
        store_sha256={"pannuke": "a" * 64},
        machine=MACHINE,
    ).write(folder / "training.json")
