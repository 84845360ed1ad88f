"""Models by name: `build` gives a module that maps images (B, 3, H, W) to logits (B, classes, H, W).

Importing this package costs nothing: torch is imported when a model is built, the encoder library only for
the encoders that come from it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.models.encoders import PLAIN, check_encoder

if TYPE_CHECKING:
    import torch


def build(encoder: str, classes: int, width: int, decoder_channels: Sequence[int], head: int = 1) -> "torch.nn.Module":
    """A U-Net with random weights, drawn from torch's global generator.

    Args:
        encoder: a name in encoders.txt.
        classes: output channels.
        width: channels of the first block; of the plain U-Nets alone.
        decoder_channels: one a decoder block, deepest first; the plain U-Nets use only their number.
        head: px a side of the last convolution, 1 or 3; the plain U-Nets' has 1.

    Raises:
        Problem: the encoder is not known.
    """
    check_encoder(encoder)
    if encoder in PLAIN:
        from pipeline.models.unet import UNet

        return UNet(classes, width, depth=len(decoder_channels), norm=encoder == "unet-bn")
    from pipeline.models.encoder_unet import encoder_unet

    return encoder_unet(encoder, classes, list(decoder_channels), head)


def to_input(images: "torch.Tensor", mean: Sequence[float], std: Sequence[float]) -> "torch.Tensor":
    """RGB images (B, H, W, 3) uint8 -> what a model takes: (B, 3, H, W) float32, channels last in memory.

    Args:
        images: as a tile store holds them.
        mean: of each channel, on the scale from 0 to 1.
        std: of each channel, on the same scale.
    """
    values = images.float() / 255
    return ((values - values.new_tensor(mean)) / values.new_tensor(std)).permute(0, 3, 1, 2)
