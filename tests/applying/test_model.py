"""What a network says of an image does not depend on the images beside it."""

import numpy as np
import pytest
import torch

from pipeline.applying.model import as_predict
from pipeline.models import build
from pipeline.tasks.segmentation.predict import Predictor


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2"])
def test_the_same_bits_in_any_batch_and_place(encoder: str) -> None:
    torch.manual_seed(0)
    network = Predictor(build(encoder, 3, 16, [32, 16, 8, 8]), [0.5] * 3, [0.2] * 3)
    images = np.random.default_rng(0).integers(0, 255, (7, 64, 64, 3), dtype=np.uint8)
    with torch.no_grad():
        for _ in range(8):  # so that normalisation tells one image from another
            network(torch.from_numpy(images))
    device = torch.device("cpu")
    predict = as_predict(network.eval().to(device, memory_format=torch.channels_last), device)  # type: ignore[call-overload]
    whole = predict(images)
    assert whole.std() > 1000
    for batch in (1, 2, 3, 5):
        parts = [predict(images[start : start + batch]) for start in range(0, len(images), batch)]
        assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(predict(images[::-1].copy())[::-1], whole)
