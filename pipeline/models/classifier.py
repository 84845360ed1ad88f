"""A classifier of whole tiles: an encoder of segmentation-models-pytorch, the mean over its deepest map, one layer."""

import segmentation_models_pytorch as smp
import torch
from torch import nn


class TileClassifier(nn.Module):
    """Images (B, 3, H, W) to logits (B, 2, 1, 1), as of a class map of one pixel. Random weights.

    Its `encoder` has the names of the U-Nets' encoders, so that their checkpoints fit each other.
    """

    def __init__(self, encoder: str) -> None:
        super().__init__()
        self.encoder = smp.encoders.get_encoder(encoder, weights=None)
        self.head = nn.Conv2d(self.encoder.out_channels[-1], 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.encoder(images)[-1].mean((2, 3), keepdim=True))
        return logits
