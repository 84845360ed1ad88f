"""Train one variant of a study: `python -m pipeline.stages.train <study> <run> <encoder> <augmentation>`.

In:  the plan data/plans/<study>/run<r>/seed<s>/<augmentation>.csv (its train and validation rows), the tile store,
     the data's licence in data/raw/<dataset>/SOURCE.json.
Out: the variant's weights/: model.safetensors (lowest validation loss, or the last where `train.patience` is null),
     last.safetensors, model.json; and training/: curves.csv (a row an epoch), training.json. Parameters and figures go
     to MLflow as they come.

An interrupted training goes on, when run again, from a file in models/.resume/ (see pipeline.training.loop).
"""

from typing import Any

import torch

from pipeline.base.errors import run_stage
from pipeline.base.params import Study
from pipeline.models import build, weights
from pipeline.tasks.segmentation.learn import Segmentation
from pipeline.tiles.examples import Examples
from pipeline.training.job import carry_out, read_job
from pipeline.training.losses import balanced_weights
from pipeline.training.online import OnlineExamples

CODE = (  # shapes the weights
    "training/loop.py",
    "tasks/segmentation/learn.py",
    "tiles/examples.py",
    "training/losses.py",
    "training/online.py",
    "tiles/transforms.py",
    "models/*.py",
)


def main() -> None:
    job = read_job("Train one variant of a study.")
    study, model = job.settings, job.settings.model
    training, validation = (Examples.of(job.rows(side), study) for side in ("train", "validation"))
    online = study.augment.online if job.augmentation == "augmented" else None

    torch.manual_seed(job.seed)
    network = build(job.encoder, len(study.classes), model.width, model.decoder_channels, model.head)
    first_weights = weights.initialise(network, job.encoder, model.weights)
    if model.freeze_encoder:
        network.get_submodule("encoder").requires_grad_(False)
    description = job.describe(
        first_weights,
        *weights.normalisation(job.encoder, first_weights),
        width=model.width,
        decoder_channels=model.decoder_channels,
        head=model.head,
    )
    settings: dict[str, Any] = {
        "train": study.train.model_dump(exclude={"workers"}),
        "online": online and online.model_dump(),
        "freeze_encoder": model.freeze_encoder,
        "ignore": study.ignore,
    }
    learner = Segmentation(network, description, study.train, class_weights(study, training), job.seed)
    shown = OnlineExamples(training, online, job.seed) if online else training
    carry_out(job, learner, description, settings, shown, validation, CODE)


def class_weights(study: Study, training: Examples) -> list[float]:
    """What `train.class_weights` in params.yaml means, one number a class."""
    match study.train.class_weights:
        case "none":
            return [1.0] * len(study.classes)
        case "balanced":
            return balanced_weights((training.class_map(i) for i in range(len(training))), len(study.classes))
        case listed:
            return [float(value) for value in listed]


if __name__ == "__main__":
    run_stage(main)
