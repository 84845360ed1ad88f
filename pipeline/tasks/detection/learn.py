"""How a Mask R-CNN learns: from the nuclei of an image, each with box, class and mask."""

from typing import Any

import torch
from torch import nn

from pipeline.base.study import DetectionStudy
from pipeline.base.study_blocks import Train
from pipeline.models.mask_rcnn import COCO, initialise, mask_rcnn, to_input
from pipeline.plans.job import Job
from pipeline.tiles.examples import Examples
from pipeline.tiles.objects import true_objects
from pipeline.training.job import Lesson, describe, plan_rows
from pipeline.training.learner import Learner

CODE = (  # shapes the weights
    "training/batches.py",
    "training/learner.py",
    "training/loop.py",
    "training/peers.py",
    "tasks/detection/learn.py",
    "tiles/*.py",
    "models/*.py",
)

LOSSES = {  # name in torchvision -> in the learning curves
    "loss_classifier": "class",
    "loss_box_reg": "box",
    "loss_mask": "mask",
    "loss_objectness": "rpn",
    "loss_rpn_box_reg": "rpn_box",
}
Target = dict[str, torch.Tensor]
Batch = tuple[list[torch.Tensor], list[Target]]


def prepare(job: Job) -> Lesson:
    """The Mask R-CNN of a job with its first weights, and the rows of its plan."""
    study = job.settings
    assert isinstance(study, DetectionStudy)
    training, validation = (Nuclei(Examples.of(plan_rows(job, side), study)) for side in ("train", "validation"))
    record = describe(job, job.first_weights, *COCO, **study.model.model_dump(exclude={"weights"}))
    torch.manual_seed(job.seed)
    network = mask_rcnn(record)
    initialise(network, job.encoder, job.first_weights)
    settings = {"train": study.train.model_dump(exclude={"workers"})}
    return Lesson(Detection(network, study.train, job.seed), record, settings, training, validation, CODE)


class Nuclei:
    """Examples as a detector takes them: item `i` is (image (3, H, W) float32 from 0 to 1, boxes, labels and masks)."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, Target]:
        found = true_objects(self.examples, position)
        target = {
            "boxes": torch.from_numpy(found.boxes),
            "labels": torch.from_numpy(found.labels),
            "masks": torch.from_numpy(found.masks).to(torch.uint8),
        }
        return to_input(self.examples.image(position)), target


def gather(items: list[tuple[torch.Tensor, Target]]) -> Batch:
    """A batch of items of `Nuclei`."""
    images, targets = zip(*items, strict=True)
    return list(images), list(targets)


class Detection(Learner):
    """A Mask R-CNN; its loss is the sum of torchvision's five, and an epoch has the mean of each."""

    collate = staticmethod(gather)
    curves = tuple(f"{side}_{name}" for name in ("loss", *LOSSES.values()) for side in ("train", "validation"))

    def __init__(self, network: nn.Module, train: Train, seed: int) -> None:
        super().__init__(network, train, seed)

    def on_validation_model_eval(self) -> None:
        """Stay a training model: torchvision gives losses to no other, and no layer of it learns by being used."""

    def totals(self, sums: dict[str, Any]) -> dict[str, float]:
        means = {name: float(sums[name]) / sums["images"] for name in LOSSES.values()}
        return {"loss": sum(means.values()), **means}

    def measure(self, batch: Batch) -> tuple[torch.Tensor, dict[str, Any]]:
        images, targets = batch
        losses = self.network(images, targets)
        counts = {short: losses[name].detach().double() * len(images) for name, short in LOSSES.items()}
        total: torch.Tensor = sum(losses.values(), start=torch.zeros((), device=self.device))
        if self.peers.count > 1:  # the mean over the images of all
            total, images_of_all = self.peers.add(total * len(images), torch.tensor(len(images), device=self.device))
            total = total / images_of_all
        return total, counts | {"images": len(images)}

    def idle(self) -> None:
        self.peers.add(*torch.zeros(2, device=self.device))
