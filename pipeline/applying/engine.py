"""What a network runs on: torch, or ONNX Runtime, which is faster on a CPU, where both say the same.

On a CPU an image is predicted by one thread and apart from the others, as many at a time as there are cores: what is
said of it depends on neither.
"""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from pipeline.applying.blending import FULL, Predict
from pipeline.base.errors import Problem
from pipeline.packages.onnx_file import write_onnx
from pipeline.tasks.segmentation.predict import Flipped

ENGINES = ("torch", "onnx")
TOLERANCE = 1e-3  # of a probability, by which two engines may differ
TOGETHER = 4  # images that torch sees at once on the CPU
LOOKED_AT = 2  # images on which engines are compared

Images = npt.NDArray[np.uint8]  # (B, S, S, 3)


@dataclass(frozen=True)
class Engine:
    """What predicts, what it is called, and by how much its probabilities differ from torch's."""

    predict: Predict | None  # None of a detector, which torch runs
    name: str
    difference: float


def choose_engine(network: torch.nn.Module, device: torch.device, size: int, wanted: str | None) -> Engine:
    """The engine that is wanted; where none is, ONNX Runtime on a CPU if it agrees with torch, else torch.

    Args:
        network: from uint8 images (B, H, W, 3) to logits (B, C, ...).
        size: px of the images that it will see.

    Raises:
        Problem: ONNX Runtime is wanted, and cannot be had or does not agree.
    """
    plain = as_predict(network, device)
    alone = as_predict(network, device, together=1)  # in a quarter of the memory, which would not be given back
    if wanted == "torch" or (wanted is None and device.type != "cpu"):
        return Engine(plain, "torch", 0)
    images = np.random.default_rng(0).integers(0, 256, (LOOKED_AT, size, size, 3), dtype=np.uint8)
    try:
        found = by_onnx(network, size)
        difference = float(np.abs(found(images).astype(int) - alone(images).astype(int)).max()) / FULL
        wrong = f"its probabilities differ by {difference:.2g}" if difference > TOLERANCE else ""
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        wrong = str(error).strip().splitlines()[0][:200]
    if not wrong:
        return Engine(found, "onnx", round(difference, 7))
    if wanted:
        raise Problem(f"ONNX Runtime cannot run this network ({wrong}); give --engine torch, or leave it out.")
    print(f"torch is used, since ONNX Runtime cannot run this network ({wrong})")
    return Engine(plain, "torch", 0)


def as_predict(network: torch.nn.Module, device: torch.device, together: int = TOGETHER) -> Predict:
    """Probabilities of a network that gives logits, rounded to whole numbers; half precision on a GPU that has it.

    Args:
        together: images that it sees at once on the CPU.
    """
    half = device.type == "cuda" and torch.cuda.is_bf16_supported()

    @torch.inference_mode()
    def predict(images: Images) -> npt.NDArray[np.uint16]:
        # On the CPU always as many at once, the last one repeated: the kernel, and so the last bit, depends on it.
        size = together if device.type == "cpu" else len(images)
        filled = images[np.minimum(np.arange(-(-len(images) // size) * size), len(images) - 1)]
        with torch.autocast("cuda", torch.bfloat16, enabled=half):
            parts = [network(torch.from_numpy(part).to(device)) for part in np.split(filled, len(filled) // size)]
        logits = torch.cat(parts)[: len(images)].float()
        # Image by image: how a sum is cut into vectors, and so its last bit, would else depend on the batch.
        found = [(image.contiguous().softmax(0) * FULL).round().int().cpu().numpy() for image in logits]
        return np.stack(found).astype(np.uint16)

    return predict


def by_onnx(network: torch.nn.Module, size: int) -> Predict:
    """The same from ONNX Runtime, of images of one size, each by one thread.

    Raises:
        RuntimeError: the network cannot be written as ONNX, or not be run.
    """
    import onnxruntime  # type: ignore[import-untyped]

    inner, turns = (network.model, 8) if isinstance(network, Flipped) else (network, 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # a tenth less memory, in the same time
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        image = torch.zeros((1, size, size, 3), dtype=torch.uint8)
        write_onnx(_Probable(inner).eval(), image, path, ["probabilities"], {})
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    pool = ThreadPoolExecutor(cores())

    def run(image: Images) -> npt.NDArray[np.uint16]:
        total = np.float32(0)
        for turn in range(turns):  # as `Flipped` does
            version = np.rot90(image, turn % 4)
            version = np.ascontiguousarray(version[:, ::-1] if turn >= 4 else version)
            found = session.run(None, {"images": version[None]})[0][0]
            total = total + np.rot90(found[..., ::-1] if turn >= 4 else found, -(turn % 4), (1, 2))
        return np.rint(total * np.float32(FULL / turns)).astype(np.uint16)

    return lambda images: np.stack(list(pool.map(run, images)))


def cores() -> int:
    """Threads that a network may take: OMP_NUM_THREADS, or the cores that this process has."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Probable(torch.nn.Module):
    """A network that gives logits, with probabilities behind it."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(images)
        return logits.softmax(1)
