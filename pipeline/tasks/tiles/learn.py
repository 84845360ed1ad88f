"""How a classifier of tiles learns: from tiles with the target and without.

A tile's class is a class map of one pixel, so that what trains the segmentations trains this, too.
"""

from typing import Self

import numpy as np
import torch

from pipeline.base.study import PixelStudy
from pipeline.models import weights
from pipeline.models.classifier import TileClassifier
from pipeline.plans.census import has_lesion
from pipeline.plans.job import Job
from pipeline.tasks.segmentation.learn import Segmentation
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import ClassMap
from pipeline.training.job import Lesson, describe, plan_rows

CODE = (  # shapes the weights
    "training/batches.py",
    "training/learner.py",
    "training/loop.py",
    "training/peers.py",
    "training/losses.py",
    "tasks/segmentation/learn.py",
    "tasks/tiles/learn.py",
    "tiles/*.py",
    "models/*.py",
)


class Labelled(Examples):
    """Tiles with a class map of one pixel, (1, 1): whether the target is anywhere in the tile."""

    def class_map(self, position: int) -> ClassMap:
        return self.labels[position].reshape(1, 1)

    def label(self, target: str) -> Self:
        """Look the classes up in the store."""
        self.labels = has_lesion(self.plan, target).astype(np.uint8)
        return self


def prepare(job: Job) -> Lesson:
    """The classifier of a job with its encoder's first weights, and the rows of its plan."""
    study = job.settings
    assert isinstance(study, PixelStudy) and study.target is not None  # the study was checked
    target = study.target
    training, validation = (Labelled.of(plan_rows(job, side), study).label(target) for side in ("train", "validation"))

    torch.manual_seed(job.seed)
    network = TileClassifier(job.encoder)
    first_weights = weights.initialise(network, job.encoder, job.first_weights)
    record = describe(job, first_weights, *weights.normalisation(job.encoder, first_weights))
    settings = {"train": study.train.model_dump(exclude={"workers"}), "target": target}
    learner = Segmentation(network, record, study.train, [1.0, 1.0], job.seed)
    return Lesson(learner, record, settings, training, validation, CODE)
