"""What every evaluation leaves beside the tables of its task: its scores, its machine, the curves of its training."""

from pathlib import Path

import pandas as pd

from pipeline.base.records import Machine, Metrics, Scores, Speed, Training
from pipeline.plans.job import Job


def write_records(job: Job, folder: Path, scores: Scores, timed: bool = True) -> None:
    """Write metrics.json, in which nothing depends on the machine, machine.json and, of a training, curves.csv.

    curves.csv has a row an epoch, with run and seed in front. What a baseline has not is None.

    Args:
        timed: whether predicting wrote a speed.json; a baseline never does.

    Raises:
        Problem: a file that training or predicting should have written is missing or broken.
    """
    training = speed = None
    if not job.is_baseline:
        training = Training.read(job.folder / "training" / "training.json")
        speed = Speed.read(job.folder / "predictions" / "speed.json") if timed else None
        curves = pd.read_csv(job.folder / "training" / "curves.csv")
        named = pd.DataFrame({"run": job.run, "seed": job.seed}, index=curves.index)
        pd.concat([named, curves], axis=1).to_csv(folder / "curves.csv", index=False, lineterminator="\n")
    Metrics(
        variant=job.variant,
        plan=job.plan,
        run=job.run,
        seed=job.seed,
        title=training and training.title,
        weights=training and training.weights,
        parameters=training and training.parameters,
        trainable_parameters=training and training.trainable_parameters,
        flops_per_image=speed and speed.flops_per_image,
        epochs_run=training and training.epochs_run,
        best_epoch=training and training.best_epoch,
        weights_sha256=training and training.weights_sha256,
        scores=scores,
    ).write(folder / "metrics.json")
    Machine(training=training and training.machine, speed=speed).write(folder / "machine.json")
