"""How a U-Net learns: from class maps, pixel by pixel."""

from typing import Any

import numpy as np
import torch

from pipeline.base.records import Model
from pipeline.base.study import PixelStudy
from pipeline.base.study_blocks import PixelTrain
from pipeline.models import build, to_input, weights
from pipeline.plans.job import Job
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import IGNORE
from pipeline.training.jitter import recolour
from pipeline.training.job import Lesson, describe, plan_rows
from pipeline.training.learner import Learner
from pipeline.training.losses import balanced_weights, segmentation_loss
from pipeline.training.online import OnlineExamples

CODE = (  # shapes the weights
    "training/batches.py",
    "training/learner.py",
    "training/loop.py",
    "training/peers.py",
    "training/losses.py",
    "training/online.py",
    "training/jitter.py",
    "tasks/segmentation/learn.py",
    "tiles/*.py",
    "models/*.py",
)

Batch = tuple[torch.Tensor, ...]  # images (B, H, W, 3), class maps (B, H, W); (B, 23) where colours are still to change


def stack(examples: list[tuple[Any, ...]]) -> Batch:
    """A batch of examples (see pipeline.tiles.examples, and pipeline.training.online for a third value)."""
    return tuple(torch.from_numpy(np.stack(values)) for values in zip(*examples, strict=True))


def prepare(job: Job) -> Lesson:
    """The U-Net of a job with its first weights, and the rows of its plan."""
    study = job.settings
    assert isinstance(study, PixelStudy)
    model = study.model
    training, validation = (Examples.of(plan_rows(job, side), study) for side in ("train", "validation"))
    online = study.augment.online if job.plan == "augmented" else None

    torch.manual_seed(job.seed)
    network = build(job.encoder, len(study.classes), model.width, model.decoder_channels, model.head)
    first_weights = weights.initialise(network, job.encoder, job.first_weights)
    if model.freeze_encoder:
        network.get_submodule("encoder").requires_grad_(False)
    record = describe(
        job,
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
    learner = Segmentation(network, record, study.train, class_weights(study, training), job.seed)
    shown = OnlineExamples(training, online, job.seed) if online else training
    return Lesson(learner, record, settings, shown, validation, CODE)


def class_weights(study: PixelStudy, training: Examples) -> list[float]:
    """What `train.class_weights` of the study means, one number a class."""
    match study.train.class_weights:
        case "none":
            return [1.0] * len(study.classes)
        case "balanced":
            return balanced_weights((training.class_map(i) for i in range(len(training))), len(study.classes))
        case listed:
            return [float(value) for value in listed]


class Segmentation(Learner):
    """A network that sorts pixels; counts them so that an epoch has an accuracy and a mean IoU."""

    collate = staticmethod(stack)
    curves = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "validation_mean_iou")

    def __init__(
        self,
        network: torch.nn.Module,
        model: Model,
        train: PixelTrain,
        class_weights: list[float],
        seed: int,
    ) -> None:
        super().__init__(network, train, seed)
        self.loss = train.loss
        self.classes = len(model.classes)
        self.mean, self.std = model.mean, model.std
        self.register_buffer("class_weights", torch.tensor(class_weights), persistent=False)

    def totals(self, sums: dict[str, Any]) -> dict[str, float]:
        """Loss, pixel accuracy and mean IoU (background included) of what was counted."""
        confusion = sums["confusion"].reshape(self.classes, self.classes).double().cpu()
        hits = confusion.diag()
        union = confusion.sum(0) + confusion.sum(1) - hits
        return {
            "loss": float(sums["loss"]) / sums["images"],
            "accuracy": float(hits.sum() / confusion.sum().clamp(min=1)),
            "mean_iou": float((hits / union)[union > 0].mean()) if bool(union.any()) else 0.0,
        }

    def measure(self, batch: Batch) -> tuple[torch.Tensor, dict[str, Any]]:
        """The loss; loss times images, images, pixels of each truth and predicted class."""
        images, truth, *numbers = batch
        if numbers:
            images = recolour(images, *numbers)
        logits = self.network(to_input(images, self.mean, self.std))
        loss = segmentation_loss(logits, truth, self.class_weights, self.loss, self.peers.add)
        with torch.no_grad():
            pairs = truth.long() * self.classes + logits.argmax(1)
            confusion = torch.bincount(pairs[truth != IGNORE], minlength=self.classes**2)
            weighted = (loss.detach() * len(images)).double()
        return loss, {"loss": weighted, "images": len(images), "confusion": confusion}

    def idle(self) -> None:
        nothing = torch.full((1, 1, 1), IGNORE, device=self.device)
        logits = torch.zeros(1, self.classes, 1, 1, device=self.device)
        segmentation_loss(logits, nothing, self.class_weights, self.loss, self.peers.add)
