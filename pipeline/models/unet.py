"""The plain U-Net (Ronneberger et al. 2015), trained from scratch.

Two 3 x 3 convolutions with ReLU a level, max pooling between levels, transposed 2 x 2 convolutions on the way up,
skip connections, a 1 x 1 head. Unlike the original the convolutions are padded, so that the output has the size of the
input. `norm=True` puts batch normalisation between convolution and ReLU.
"""

import torch
from torch import nn


class UNet(nn.Module):
    """Image (B, 3, H, W) float -> logits (B, classes, H, W); H and W are multiples of 2 ** depth.

    Args:
        classes: output channels.
        width: channels of the first level; each level below has twice as many.
        depth: poolings, and so decoder blocks.
        norm: batch normalisation after every 3 x 3 convolution.
    """

    def __init__(self, classes: int, width: int, depth: int, norm: bool) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _double_convolution(ins, outs, norm) for ins, outs in zip([3, *channels], channels, strict=False)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * outs, outs, 2, stride=2) for outs in reversed(channels[:-1]))
        self.merge = nn.ModuleList(_double_convolution(2 * outs, outs, norm) for outs in reversed(channels[:-1]))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(width, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):  # He et al. 2015, as the paper asks
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        skips = []
        features = self.down[0](images)
        for block in list(self.down)[1:]:
            skips.append(features)
            features = block(self.pool(features))
        for up, merge in zip(self.up, self.merge, strict=True):
            features = merge(torch.cat([skips.pop(), up(features)], dim=1))
        logits: torch.Tensor = self.head(features)
        return logits


def _double_convolution(ins: int, outs: int, norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (ins, outs):
        layers.append(nn.Conv2d(channels, outs, 3, padding=1, bias=not norm))
        if norm:
            layers.append(nn.BatchNorm2d(outs))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
