"""What a U-Net learns from: class maps, pixel by pixel."""

from typing import Any

import numpy as np
import torch

from pipeline.base.params import Train
from pipeline.models import to_input
from pipeline.tiles.store import IGNORE
from pipeline.training.loop import Learner
from pipeline.training.losses import segmentation_loss

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # images (B, H, W, 3), class maps (B, H, W), weights (B,)


def stack(examples: list[tuple[Any, ...]]) -> Batch:
    """A batch of examples (see pipeline.tiles.examples)."""
    images, class_maps, weights = (torch.from_numpy(np.stack(values)) for values in zip(*examples, strict=True))
    return images, class_maps, weights


class Segmentation(Learner):
    """A network that sorts pixels; counts them so that an epoch has an accuracy and a mean IoU."""

    collate = staticmethod(stack)
    curves = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "validation_mean_iou")

    def __init__(
        self,
        network: torch.nn.Module,
        description: dict[str, Any],
        train: Train,
        class_weights: list[float],
        seed: int,
    ) -> None:
        super().__init__(network, train, seed)
        self.classes = len(description["classes"])
        self.mean, self.std = description["mean"], description["std"]
        self.register_buffer("class_weights", torch.tensor(class_weights), persistent=False)

    def start_counting(self) -> None:
        """Set to 0: loss times images, images, pixels of each truth and predicted class."""
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.images = 0
        self.confusion = torch.zeros(self.classes**2, dtype=torch.int64, device=self.device)

    def totals(self) -> dict[str, float]:
        """Loss, pixel accuracy and mean IoU (background included) of what was counted."""
        confusion = self.confusion.reshape(self.classes, self.classes).double().cpu()
        hits = confusion.diag()
        union = confusion.sum(0) + confusion.sum(1) - hits
        return {
            "loss": float(self.loss_sum) / max(self.images, 1),
            "accuracy": float(hits.sum() / confusion.sum().clamp(min=1)),
            "mean_iou": float((hits / union)[union > 0].mean()) if bool(union.any()) else 0.0,
        }

    def step(self, batch: Batch) -> torch.Tensor:
        images, truth, weight = batch
        logits = self.network(to_input(images, self.mean, self.std))
        loss = segmentation_loss(logits, truth, weight, self.class_weights, self.train_params.loss)
        with torch.no_grad():
            self.loss_sum += loss.detach() * len(images)
            self.images += len(images)
            pairs = truth.long() * self.classes + logits.argmax(1)
            self.confusion += torch.bincount(pairs[truth != IGNORE], minlength=self.classes**2)
        return loss
