"""What a network does within, as it goes out."""

import numpy as np
import torch
from PIL import Image
from torch import nn

from pipeline.packages.networks import Grey


class Seen(nn.Module):
    """Gives back what it sees."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        return (images,)


def test_grey_is_pillows_to_the_bit() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    images[0, 0, :2] = [[0, 0, 0], [255, 255, 255]]
    (found,) = Grey(Seen())(torch.from_numpy(images))
    wanted = [np.asarray(Image.fromarray(image).convert("L").convert("RGB")) for image in images]
    assert np.array_equal(found.numpy(), np.stack(wanted))
