"""Train a study's classifier of tiles, with target or without: `python -m pipeline.stages.train_classifier <study>`.

In:  the plans balanced.csv (in whose train rows both kinds are as many) and split.csv, the tile store, SOURCE.json.
Out: models/<study>/classifier/: weights/ and training/ as `train` writes them, whose encoder a U-Net may start from;
     predictions/predictions.csv, the probability of the target in each tile of split.csv.

A tile's class is a class map of one pixel, so that the training loop of the segmentations trains this, too.
"""

import argparse
from typing import Self

import numpy as np
import torch
from torch import nn

from pipeline.base.errors import run_stage
from pipeline.base.files import replacing
from pipeline.base.params import Loss, Study, Train, read_params
from pipeline.base.paths import classifier_folder
from pipeline.models import to_input, weights
from pipeline.models.classifier import TileClassifier
from pipeline.plans.census import has_lesion
from pipeline.tasks.segmentation.learn import Segmentation
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import TILE, plan_folder, read_plan
from pipeline.tiles.store import ClassMap, Image
from pipeline.training.job import Job, carry_out

CODE = (  # shapes the weights
    "stages/train_classifier.py",
    "training/loop.py",
    "tasks/segmentation/learn.py",
    "tiles/examples.py",
    "training/losses.py",
    "tiles/transforms.py",
    "models/*.py",
)
CROSS_ENTROPY = Loss(cross_entropy=1, dice=0, focal=0, smooth=1, dice_background=True)


class Labelled(Examples):
    """Tiles with a class map of one pixel, (1, 1): whether the target is anywhere in the tile."""

    def class_map(self, position: int) -> ClassMap:
        return self.labels[position].reshape(1, 1)

    def label(self, target: str) -> Self:
        """Look the classes up in the store."""
        self.labels = has_lesion(self.plan, target).astype(np.uint8)
        return self

    def __getitem__(self, position: int) -> tuple[Image, ClassMap, np.float32]:
        return self.image(position), self.class_map(position), np.float32(1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a study's classifier of tiles.")
    parser.add_argument("study")
    name = parser.parse_args().study
    params = read_params()
    study = params.study(name)
    classifier, target = study.classifier, study.target
    assert classifier is not None and target is not None  # params.yaml was checked
    plans = plan_folder(name, study.runs.first, params.seed)
    job = Job(
        study=name,
        run=study.runs.first,
        seed=params.seed,
        name="classifier",
        augmentation="balanced",
        encoder=classifier.encoder,
        settings=study.model_copy(update={"train": train_settings(study)}),
        plan_path=plans / "balanced.csv",
        folder=classifier_folder(name),
    )
    training, validation = (Labelled.of(job.rows(side), study).label(target) for side in ("train", "validation"))

    torch.manual_seed(job.seed)
    network = TileClassifier(classifier.encoder)
    first_weights = weights.initialise(network, classifier.encoder, study.model.weights)
    mean, std = weights.normalisation(classifier.encoder, first_weights)
    description = job.describe(first_weights, mean, std, greyscale=study.greyscale)
    settings = {"train": job.settings.train.model_dump(exclude={"workers"}), "target": target}
    learner = Segmentation(network, description, job.settings.train, [1.0, 1.0], job.seed)
    carry_out(job, learner, description, settings, training, validation, CODE)

    split = read_plan(plans / "split.csv")
    found = split[[*TILE, "patient", "slide", "split"]].assign(
        probability=probabilities(network, Examples.of(split, study), mean, std, study.predict.batch)
    )
    with replacing(job.folder / "predictions") as temporary:
        temporary.mkdir()
        found.to_csv(temporary / "predictions.csv", index=False, lineterminator="\n", float_format="%.6f")


def train_settings(study: Study) -> Train:
    """The study's way of training with what the classifier has of its own; the best epoch's weights are kept."""
    own = study.classifier
    assert own is not None
    changes = {"epochs": own.epochs, "batch": own.batch, "learning_rate": own.learning_rate}
    return study.train.model_copy(
        update=changes | {"patience": study.train.patience and own.epochs, "loss": CROSS_ENTROPY}
    )


@torch.inference_mode()
def probabilities(
    network: nn.Module, examples: Examples, mean: list[float], std: list[float], batch: int
) -> list[float]:
    """The probability of the target in each tile."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    found: list[float] = []
    for start in range(0, len(examples), batch):
        positions = range(start, min(start + batch, len(examples)))
        images = torch.from_numpy(np.stack([examples.image(position) for position in positions])).to(device)
        found += network(to_input(images, mean, std)).float().softmax(1)[:, 1, 0, 0].tolist()
    return found


if __name__ == "__main__":
    run_stage(main)
