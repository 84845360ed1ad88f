"""Losses of a segmentation: cross-entropy, Dice, focal, and their weighted sum.

All take logits (B, C, H, W) float and truth (B, H, W) integer with 255 = ignore, and give a scalar that is finite, with
finite gradients, even where every pixel is ignored. Pixels with the truth 255 add nothing.
"""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from pipeline.base.study_blocks import Loss
from pipeline.tiles.store import IGNORE

GAMMA = 2.0  # of the focal loss, the value its paper recommends
Sums = tuple[torch.Tensor, ...]


def as_they_are(*sums: torch.Tensor) -> Sums:
    """The sums of a batch of which one process has all."""
    return sums


def segmentation_loss(
    logits: torch.Tensor,
    truth: torch.Tensor,
    class_weights: torch.Tensor,
    terms: Loss,
    add: Callable[..., Sums] = as_they_are,
) -> torch.Tensor:
    """The sum of the terms of a study's `train.loss`, each times its weight there.

    Args:
        logits: (B, C, H, W).
        truth: (B, H, W), class codes or 255.
        class_weights: (C,), of cross-entropy and focal loss. Dice weighs all classes the same.
        terms: the weights of the terms; a term of weight 0 is not computed.
        add: adds sums up over the processes that share a batch; called once.
    """
    logits = logits.float()  # a sum over pixels needs more than the 8 or 11 bits of half precision
    truth = truth.long()
    log_probability = F.log_softmax(logits, dim=1)
    sums: list[torch.Tensor] = []
    if terms.cross_entropy:
        sums += pixel_sums(log_probability, truth, class_weights)
    if terms.focal:  # Lin et al. 2017: pixels that are easy count less
        eased = (1 - log_probability.exp()) ** GAMMA * log_probability
        sums += pixel_sums(eased, truth, class_weights)
    if terms.dice:
        sums += class_sums(log_probability.exp(), truth)
    found = iter(add(*sums))
    total = logits.new_zeros(())
    for weight in filter(None, (terms.cross_entropy, terms.focal)):
        total = total + weight * mean(next(found), next(found))
    if terms.dice:
        pixels, overlap, predicted = found
        total = total + terms.dice * dice(pixels, overlap, predicted, terms.smooth, terms.dice_background)
    return total


def pixel_sums(values: torch.Tensor, truth: torch.Tensor, class_weights: torch.Tensor) -> Sums:
    """Over valid pixels: minus the true class's value, weighted by class, and the weights; of log p: cross-entropy."""
    total = F.nll_loss(values, truth, class_weights, ignore_index=IGNORE, reduction="sum")
    return total, class_weights[truth[truth != IGNORE]].sum()


def mean(total: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """As torch's own, but 0 where every pixel is ignored, which is no number there."""
    return total / weight.clamp(min=torch.finfo(torch.float32).tiny)


def class_sums(probability: torch.Tensor, truth: torch.Tensor) -> Sums:
    """For each class (C,): pixels of its truth, its probability on these, its probability on all valid pixels."""
    valid = truth != IGNORE
    codes = torch.where(valid, truth, 0)
    one_hot = F.one_hot(codes, probability.shape[1]).permute(0, 3, 1, 2) * valid[:, None]
    pixels = one_hot.sum(dim=(0, 2, 3))
    overlap = (probability * one_hot).sum(dim=(0, 2, 3))
    return pixels, overlap, (probability * valid[:, None]).sum(dim=(0, 2, 3))


def dice(
    pixels: torch.Tensor, overlap: torch.Tensor, predicted: torch.Tensor, smooth: float, background: bool
) -> torch.Tensor:
    """1 - soft Dice of the whole batch, the mean over the classes that its truth holds; 0 where it holds none.

    Of what `class_sums` gave. `smooth` pixels are added to both sides of the ratio, so that a class of few pixels does
    not jump. Class 0 is among the classes where `background` says so; for two classes and without it, with
    cross-entropy, this is BCE + Dice.
    """
    size = predicted + pixels
    present = (pixels > 0).float()
    present[0] *= background
    losses = 1 - (2 * overlap + smooth) / (size + smooth)
    return (losses * present).sum() / present.sum().clamp(min=1)


def balanced_weights(class_maps: Iterable[npt.NDArray[np.uint8]], classes: int) -> list[float]:
    """Inverse pixel frequency of each class, scaled to a mean of 1 over those that occur; 0 for one that does not."""
    pixels = np.zeros(IGNORE + 1, np.int64)
    for class_map in class_maps:
        pixels += np.bincount(class_map.ravel(), minlength=IGNORE + 1)
    present = pixels[:classes] > 0
    inverse = np.divide(1, pixels[:classes], out=np.zeros(classes), where=present)
    return [float(value) for value in inverse * present.sum() / max(inverse.sum(), np.finfo(float).tiny)]
