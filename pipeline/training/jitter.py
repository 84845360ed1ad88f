"""Stain and colour jitter of a whole batch, where the batch is: what `online.recolour` does to a tile in the loader.

The same formulas in float32, without a product of matrices, for which a GPU and half precision may take fewer digits.
Of a thousand pixels one at most has a byte that is rounded to its neighbour; what differs between the two jitters may
come out two apart. In tiles of 256 px and more some pixels more differ, by one: numpy's mean of a tile, a running sum
in float32, is off by thousandths of a level there.
"""

import torch

from pipeline.training.online import GREY, PARTS

RED, GREEN, BLUE = GREY.tolist()  # as numbers: to copy a tensor to a GPU would wait for its queue


@torch.no_grad()
def recolour(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Change the stains of each tile, then its colours; every tile by itself.

    Args:
        images: (B, H, W, 3) uint8.
        numbers: (B, 23) float32, of each tile what `online.numbers` gives.

    Returns:
        (B, H, W, 3) uint8.
    """
    mixing, shift, turning, brightness, contrast = (part[:, None] for part in numbers.split(PARTS, dim=1))
    density = -torch.log((images.flatten(1, 2).float() + 1) / 256)
    density = _mixed(density, mixing.unflatten(2, (3, 3))) + shift
    stained = _rounded(256 * torch.exp(-density) - 1)
    values = _mixed(stained, turning.unflatten(2, (3, 3)).mT)
    red, green, blue = values.mean(dim=1, keepdim=True).split(1, dim=2)
    grey = RED * red + GREEN * green + BLUE * blue
    return _rounded(brightness * (grey + contrast * (values - grey))).to(torch.uint8).reshape(images.shape)


def _mixed(values: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Of each tile values @ matrix: (B, P, 3) and (B, 1, 3, 3)."""
    red, green, blue = values.split(1, dim=2)
    return red * matrix[:, :, 0] + green * matrix[:, :, 1] + blue * matrix[:, :, 2]


def _rounded(values: torch.Tensor) -> torch.Tensor:
    return values.round().clamp(0, 255)
