"""What `train` and `predict` leave of a U-Net, made up, so that scoring needs neither."""

import json
from collections.abc import Sequence

import h5py
import numpy as np
import pandas as pd

from pipeline.plans.job import Job
from pipeline.tiles.examples import Examples
from tests.tiny_study import CLASSES
from tests.trained import write_speed, write_training


def truth_of(job: Job, side: str = "test") -> np.ndarray:
    """The class maps of one side of the split, (N, H, W) uint8."""
    examples = Examples.of(job.rows(side), job.settings)
    return np.stack([examples.class_map(position) for position in range(len(examples))])


def write_predicted(
    job: Job, class_map: np.ndarray, classes: Sequence[str] = CLASSES, name: str = "test", soft: bool = False
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
    write_speed(job.folder, len(class_map))


def write_epochs(job: Job, weights: str = "random") -> None:
    """Write training.json and curves.csv of four epochs."""
    epochs = np.arange(1, 5)
    curves = {"epoch": epochs, "train_loss": 1 / epochs, "validation_loss": 1.1 / epochs, "learning_rate": 0.001}
    named = {"study": job.study, "run": job.run, "seed": job.seed}
    write_training(job.folder, pd.DataFrame(curves), job.variant, job.plan, weights=weights, **named)
