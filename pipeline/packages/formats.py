"""A network in the formats of others, ONNX and TorchScript, each compared with the network before it goes out."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]
import torch
from torch import nn

from pipeline.base.errors import Problem
from pipeline.packages.networks import OUTPUTS
from pipeline.packages.onnx_file import write_onnx

AGREES = 1e-4  # largest difference of a probability, and of what is measured in px for each px
ONNX, TORCHSCRIPT = "model.onnx", "model.torchscript.pt"
Array = npt.NDArray[np.generic]
Found = dict[str, Array]
Run = Callable[[npt.NDArray[np.uint8]], Found]


def write_formats(network: nn.Module, task: str, examples: Sequence[npt.NDArray[np.uint8]], folder: Path) -> list[str]:
    """Write both formats into a folder; what is said of those that were left out, a sentence each.

    Args:
        network: what `outgoing` gave.
        task: of the model; a detector's formats are left out where they do not hold, the others' are refused.
        examples: images (n, h, w, 3) of two sizes at least, on which they must agree with the network.

    Raises:
        Problem: what was written does not give what the network gives.
    """
    left_out = []
    wanted = [running(network, task)(images) for images in examples]
    for name, write, load in ((ONNX, write_free, run_onnx), (TORCHSCRIPT, write_torchscript, run_torchscript)):
        path = folder / name
        try:
            write(network, task, examples[0], path)
            run = load(path, task)
            wrong = next(filter(None, map(difference, wanted, map(run, examples))), "")
        except Exception as error:  # torch's and ONNX Runtime's exceptions have no common class
            wrong = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        if wrong and task != "detection":
            raise Problem(f"{name} does not give what the network gives ({wrong}); nothing was exported.")
        if wrong:
            path.unlink(missing_ok=True)
            left_out.append(f"There is no {name}: it does not give what the network gives ({wrong}).")
    return left_out


def difference(wanted: Found, found: Found) -> str:
    """What differs by more than AGREES, a clause; empty where nothing does."""
    for name, values in wanted.items():
        other = found[name]
        if values.shape != other.shape:
            return f"{name} has the shape {other.shape}, not {values.shape}"
        if name == "class_map":  # where two classes are as probable either may be called
            chosen = np.take_along_axis(wanted["probabilities"], other[:, None].astype(np.int64), 1)
            values, other = wanted["probabilities"].max(1, keepdims=True), chosen
        if not np.allclose(values, other, rtol=AGREES if name == "boxes" else 0, atol=AGREES):
            return f"{name} differs by {np.abs(values.astype(np.float64) - other.astype(np.float64)).max():.2g}"
    return ""


def running(network: nn.Module, task: str) -> Run:
    """A network of torch as a function of arrays."""

    def run(images: npt.NDArray[np.uint8]) -> Found:
        with torch.no_grad():
            found = network(torch.from_numpy(images))
        return {name: value.numpy() for name, value in zip(OUTPUTS[task], found, strict=True)}

    return run


def write_free(network: nn.Module, task: str, images: npt.NDArray[np.uint8], path: Path) -> None:
    """Write a network as ONNX whose number and size of images are free."""
    free = {"images": {1: "h", 2: "w"} if task == "detection" else {0: "n", 1: "h", 2: "w"}}
    for name, axes in OUTPUTS[task].items():
        free[name] = {number: axis for number, axis in enumerate(axes) if axis in "nhwk"}
    write_onnx(network, torch.from_numpy(images), path, list(OUTPUTS[task]), free)


def run_onnx(path: Path, task: str) -> Run:
    """ONNX Runtime on the CPU as a function of arrays."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: dict(zip(OUTPUTS[task], session.run(list(OUTPUTS[task]), {"images": images}), strict=True))


def write_torchscript(network: nn.Module, task: str, images: npt.NDArray[np.uint8], path: Path) -> None:
    """Write a network as TorchScript."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of what is constant in a graph, which the comparison judges
        torch.jit.trace(network, (torch.from_numpy(images),), check_trace=False).save(path)


def run_torchscript(path: Path, task: str) -> Run:
    """TorchScript on the CPU as a function of arrays."""
    with warnings.catch_warnings():
        # A colleague's C++ reads nothing newer; torch names no other format that does without its own Python.
        warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", FutureWarning)
        return running(torch.jit.load(path, map_location="cpu"), task)
