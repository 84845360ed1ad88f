"""What a network says of an image does not depend on the images beside it, nor much on what it runs on."""

import numpy as np
import pytest
import torch

from pipeline.applying.blending import FULL
from pipeline.applying.engine import TOLERANCE, as_predict, by_onnx, choose_engine
from pipeline.base.errors import Problem
from pipeline.models import build
from pipeline.tasks.segmentation.predict import Flipped, Predictor

IMAGES = np.random.default_rng(0).integers(0, 255, (7, 64, 64, 3), dtype=np.uint8)
CPU = torch.device("cpu")


def network_of(encoder: str) -> torch.nn.Module:
    torch.manual_seed(0)
    network = Predictor(build(encoder, 3, 16, [32, 16, 8, 8]), [0.5] * 3, [0.2] * 3)
    with torch.no_grad():
        for _ in range(8):  # so that normalisation tells one image from another
            network(torch.from_numpy(IMAGES))
    return network.eval().to(CPU, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("engine", ["torch", "onnx"])
@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2"])
def test_the_same_bits_in_any_batch_and_place(encoder: str, engine: str) -> None:
    network, images = network_of(encoder), IMAGES
    predict = as_predict(network, CPU) if engine == "torch" else by_onnx(network, 64)
    whole = predict(images)
    assert whole.std() > 1000
    for batch in (1, 2, 3, 5):
        parts = [predict(images[start : start + batch]) for start in range(0, len(images), batch)]
        assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(predict(images[::-1].copy())[::-1], whole)


@pytest.mark.parametrize("flips", [False, True])
def test_onnx_runtime_is_taken_where_it_agrees(flips: bool) -> None:
    network = Flipped(network_of("resnet18")) if flips else network_of("resnet18")
    engine = choose_engine(network, CPU, 64, None)
    assert engine.name == "onnx" and engine.difference < 1e-4
    by_torch = choose_engine(network, CPU, 64, "torch")
    assert by_torch.name == "torch"
    difference = np.abs(engine.predict(IMAGES).astype(int) - by_torch.predict(IMAGES).astype(int))
    assert by_torch.predict(IMAGES).std() > 1000 and difference.max() <= TOLERANCE * FULL


def test_torch_is_taken_where_onnx_runtime_cannot_or_does_not_agree(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = network_of("resnet18")
    monkeypatch.setattr("pipeline.applying.engine.TOLERANCE", -1)
    assert choose_engine(network, CPU, 64, None).name == "torch"
    assert "torch is used, since ONNX Runtime" in capfd.readouterr().out
    with pytest.raises(Problem, match=r"differ by .*; give --engine torch"):
        choose_engine(network, CPU, 64, "onnx")

    class Odd(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.rot90(images.permute(0, 3, 1, 2).float(), 1, (2, 3))  # which ONNX has no operator for

    assert choose_engine(Odd(), CPU, 64, None).name == "torch"
