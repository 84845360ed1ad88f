"""Losses of a segmentation: cross-entropy, Dice, focal, and their weighted sum.

All take logits (B, C, H, W) float, truth (B, H, W) integer with 255 = ignore, and a weight (B,) a example, and give a
scalar that is finite, with finite gradients, even where every pixel is ignored. An example's weight multiplies what its
pixels add; pixels with the truth 255 add nothing.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from pipeline.base.study_blocks import Loss
from pipeline.tiles.store import IGNORE

GAMMA = 2.0  # of the focal loss, the value its paper recommends


def segmentation_loss(
    logits: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor, class_weights: torch.Tensor, terms: Loss
) -> torch.Tensor:
    """The sum of the terms of params.yaml's `train.loss`, each times its weight there.

    Args:
        logits: (B, C, H, W).
        truth: (B, H, W), class codes or 255.
        weight: (B,), of the examples.
        class_weights: (C,), of cross-entropy and focal loss. Dice weighs all classes the same.
        terms: the weights of the terms; a term of weight 0 is not computed.
    """
    logits = logits.float()  # a sum over pixels needs more than the 8 or 11 bits of half precision
    valid = truth != IGNORE
    codes = torch.where(valid, truth, 0).long()
    one_hot = F.one_hot(codes, logits.shape[1]).permute(0, 3, 1, 2) * valid[:, None]
    log_probability = F.log_softmax(logits, dim=1)
    total = logits.new_zeros(())
    if terms.cross_entropy:
        total = total + terms.cross_entropy * cross_entropy(log_probability, one_hot, weight, class_weights)
    if terms.focal:
        total = total + terms.focal * focal(log_probability, one_hot, weight, class_weights)
    if terms.dice:
        total = total + terms.dice * dice(log_probability, one_hot, weight, terms.smooth, terms.dice_background)
    return total


def cross_entropy(
    log_probability: torch.Tensor, one_hot: torch.Tensor, weight: torch.Tensor, class_weights: torch.Tensor
) -> torch.Tensor:
    """Mean of -log p of the true class over pixels, weighted by class."""
    return _pixel_mean(-log_probability, one_hot, weight, class_weights)


def focal(
    log_probability: torch.Tensor, one_hot: torch.Tensor, weight: torch.Tensor, class_weights: torch.Tensor
) -> torch.Tensor:
    """Mean of -(1 - p)^gamma log p of the true class (Lin et al. 2017): pixels that are easy count less."""
    return _pixel_mean(-((1 - log_probability.exp()) ** GAMMA) * log_probability, one_hot, weight, class_weights)


def dice(
    log_probability: torch.Tensor, one_hot: torch.Tensor, weight: torch.Tensor, smooth: float, background: bool
) -> torch.Tensor:
    """1 - soft Dice of the whole batch, the mean over the classes that its truth holds; 0 where it holds none.

    `smooth` pixels are added to both sides of the ratio, so that a class of few pixels does not jump. Class 0 is among
    the classes where `background` says so; for two classes and without it, with cross-entropy, this is BCE + Dice.
    """
    weighted = one_hot * weight[:, None, None, None]
    counted = one_hot.sum(dim=1, keepdim=True) * weight[:, None, None, None]  # 0 for ignored pixels
    probability = log_probability.exp()
    overlap = (probability * weighted).sum(dim=(0, 2, 3))
    size = (probability * counted).sum(dim=(0, 2, 3)) + weighted.sum(dim=(0, 2, 3))
    present = (one_hot.sum(dim=(0, 2, 3)) > 0).float()
    present[0] *= background
    losses = 1 - (2 * overlap + smooth) / (size + smooth)
    return (losses * present).sum() / present.sum().clamp(min=1)


def _pixel_mean(
    values: torch.Tensor, one_hot: torch.Tensor, weight: torch.Tensor, class_weights: torch.Tensor
) -> torch.Tensor:
    """Mean over valid pixels of the true class's value; as in torch, the class weights' sum divides it."""
    weighted = one_hot * class_weights[:, None, None]
    total = (values * weighted * weight[:, None, None, None]).sum()
    return total / weighted.sum().clamp(min=torch.finfo(torch.float32).tiny)


def balanced_weights(class_maps: Iterable[npt.NDArray[np.uint8]], classes: int) -> list[float]:
    """Inverse pixel frequency of each class, scaled to a mean of 1 over those that occur; 0 for one that does not."""
    pixels = np.zeros(IGNORE + 1, np.int64)
    for class_map in class_maps:
        pixels += np.bincount(class_map.ravel(), minlength=IGNORE + 1)
    present = pixels[:classes] > 0
    inverse = np.divide(1, pixels[:classes], out=np.zeros(classes), where=present)
    return [float(value) for value in inverse * present.sum() / max(inverse.sum(), np.finfo(float).tiny)]
