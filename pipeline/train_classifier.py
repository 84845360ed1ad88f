"""Train a study's classifier of tiles, with the target or without: `python -m pipeline.train_classifier <study>`.

In:  the plans balanced.csv (its train rows, in which both kinds are as many) and split.csv, the tile store.
Out: models/<study>/classifier/: weights/model.safetensors, whose encoder a U-Net may start from; training/curves.csv
     and training.json; predictions/predictions.csv, the probability of the target in each tile of split.csv.

A tile's class is a class map of one pixel, so that the training loop of the segmentations trains this, too.
"""

import argparse
import hashlib
import time
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import nn

from pipeline import tracking
from pipeline.census import has_lesion
from pipeline.errors import run_stage
from pipeline.examples import Examples
from pipeline.files import replacing, write_json
from pipeline.models import to_input, weights
from pipeline.models.classifier import TileClassifier
from pipeline.params import Loss, Study, Train, read_params
from pipeline.plan import TILE, plan_folder, read_plan
from pipeline.segmentation import Segmentation
from pipeline.tiles import ClassMap, Image, Shard
from pipeline.training import Epochs, ResumeFile, fit
from pipeline.variants import classifier_folder

CODE = (
    "training.py",
    "segmentation.py",
    "train_classifier.py",
    "examples.py",
    "losses.py",
    "transforms.py",
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
    study, started = params.study(name), time.monotonic()
    classifier, target = study.classifier, study.target
    assert classifier is not None and target is not None  # params.yaml was checked
    plans = plan_folder(name, study.runs.first, params.seed)
    balanced, split = read_plan(plans / "balanced.csv"), read_plan(plans / "split.csv")
    training, validation = (
        Labelled.of(plan[plan["split"] == side], study).label(target)
        for plan, side in ((balanced, "train"), (split, "validation"))
    )
    torch.manual_seed(params.seed)
    network = TileClassifier(classifier.encoder)
    first_weights = weights.initialise(network, classifier.encoder, study.model.weights)
    mean, std = weights.normalisation(classifier.encoder, first_weights)
    description = {
        "encoder": classifier.encoder,
        "classes": study.classes,
        "weights": first_weights,
        "tile_size": study.tile_size,
        "greyscale": study.greyscale,
        "mean": mean,
        "std": std,
    }
    shards = balanced.groupby("dataset", sort=True)["shard"].first().items()
    stores = {str(d): Shard(Path("data/tiles") / str(d) / f"{shard}.h5").info.source_sha256 for d, shard in shards}
    folder = classifier_folder(name)
    train = train_settings(study)
    resume = ResumeFile(Path("models/.resume") / name / "classifier", fingerprint(plans, [description, train, stores]))
    variant, key = f"{classifier.encoder}-classifier-balanced", folder.relative_to("models").as_posix()
    with tracking.variant_run(name, variant, key, weights_sha256=None) as run:
        run.params({"seed": params.seed, "data": stores, "train": train.model_dump(), "model": description})
        epochs = Epochs(resume, run.metrics, keep_last=train.patience is None)
        machine = fit(Segmentation(network, description, train, [1.0, 1.0], params.seed), epochs, training, validation)
        network.load_state_dict(epochs.best)
        with replacing(folder / "weights") as temporary:
            temporary.mkdir()
            weights.save(network, temporary / "model.safetensors")
            write_json(temporary / "model.json", description)
        sha256 = hashlib.sha256((folder / "weights" / "model.safetensors").read_bytes()).hexdigest()
        with replacing(folder / "training") as temporary:
            temporary.mkdir()
            pd.DataFrame(epochs.rows).to_csv(temporary / "curves.csv", index=False, lineterminator="\n")
            record = {"study": name, "variant": variant, "weights": first_weights, "best_epoch": epochs.best_epoch}
            record |= {"epochs_run": len(epochs.rows), "weights_sha256": sha256}
            record |= {"examples": {"train": len(training), "validation": len(validation)}}
            record |= {"parameters": sum(value.numel() for value in network.parameters())}
            record |= {"machine": {"seconds": round(time.monotonic() - started, 1), **machine}}
            write_json(temporary / "training.json", record)
        run.tags({tracking.WEIGHTS: sha256})
        run.artifact(folder / "training", "training")
    with replacing(folder / "predictions") as temporary:
        temporary.mkdir()
        found = split[[*TILE, "patient", "slide", "split"]].assign(
            probability=probabilities(network, Examples.of(split, study), mean, std, study.predict.batch)
        )
        path = temporary / "predictions.csv"
        found.to_csv(path, index=False, lineterminator="\n", float_format="%.6f")
    resume.remove()


def train_settings(study: Study) -> Train:
    """The study's way of training with what the classifier has of its own; the best epoch's weights are kept."""
    own = study.classifier
    assert own is not None
    changes = {"epochs": own.epochs, "batch": own.batch, "learning_rate": own.learning_rate}
    return study.train.model_copy(
        update=changes | {"patience": study.train.patience and own.epochs, "loss": CROSS_ENTROPY}
    )


def fingerprint(plans: Path, shaping: list[object]) -> str:
    """A hash of all that shapes the weights: parameters, plans, tiles, code, version of torch."""
    digest = hashlib.sha256(f"{torch.__version__} {shaping}".encode())
    for path in (plans / "balanced.csv", plans / "split.csv"):
        digest.update(path.read_bytes())
    for path in sorted(path for pattern in CODE for path in Path(__file__).parent.glob(pattern)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


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
