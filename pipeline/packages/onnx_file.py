"""A network as an ONNX file: of one size of images, or of any."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

OPSET = 17
Axes = Mapping[str, Mapping[int, str]]


def write_onnx(network: nn.Module, images: torch.Tensor, path: Path, outputs: Sequence[str], free: Axes) -> None:
    """Write a network that takes `images`.

    Args:
        outputs: what it gives, by name.
        free: axes whose length is free, of `images` and of outputs, each with a name; the others are as those seen.

    Raises:
        RuntimeError: it has what ONNX has no operator for.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of what is constant in a graph, which whoever calls judges by comparison
        torch.onnx.export(
            network,
            (images,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=list(outputs),
            dynamic_axes=free or None,
        )
