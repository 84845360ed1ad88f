"""How a U-Net predicts: a class for every pixel of the tiles that the study asks for."""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.base import hdf5
from pipeline.base.records import Model, Speed
from pipeline.base.study import PixelStudy
from pipeline.base.study_blocks import PixelPredict
from pipeline.models import build, to_input, weights
from pipeline.plans.job import Job
from pipeline.tiles.examples import Examples

WARM_UPS = 2  # runs before the clock starts
SPEED_SECONDS = 1.0  # of measuring, for each batch size
SPEED_RUNS = (3, 50)  # at least and at most, within that time


def predict(job: Job, folder: Path) -> None:
    """Write test.h5 of the test tiles, in their order, and speed.json.

        class_map      (N, H, W) uint8       the most probable class
        probabilities  (N, C, H, W) float16  where `predict.probabilities` asks for them

    train.h5 has the class maps of the train tiles, where `predict.splits` asks for them; speed.json has FLOPs,
    parameters, images per second, all on this machine.
    """
    study = job.settings
    assert isinstance(study, PixelStudy)
    parts = {side: Examples.of(job.rows(side), study) for side in dict.fromkeys(["test", *study.predict.splits])}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, classes = load_model(job.folder / "weights", device, study.predict.flips)
    maps_alone = study.predict.model_copy(update={"probabilities": False})
    seconds = {}
    for side, examples in parts.items():
        options = study.predict if side == "test" else maps_alone  # nothing reads other probabilities, a MB a tile
        started = time.perf_counter()
        write_maps(model, examples, folder / f"{side}.h5", classes, options, device)
        seconds[side] = time.perf_counter() - started
    tests = parts["test"]
    images = images_of(tests, range(min(len(tests), 16))).to(device)
    measure_speed(model, images, study.predict, len(tests), seconds["test"]).write(folder / "speed.json")


def load_model(folder: Path, device: torch.device, flips: bool = False) -> tuple[torch.nn.Module, list[str]]:
    """The model of a weights folder, from uint8 images (B, H, W, 3) to logits (B, C, H, W), and its classes."""
    record = Model.read(folder / "model.json")
    shape = (record.shape[key] for key in ("width", "decoder_channels", "head"))
    network = build(record.encoder, len(record.classes), *shape)
    weights.load(network, folder / "model.safetensors")
    model: torch.nn.Module = Predictor(network, record.mean, record.std)
    if flips:
        model = Flipped(model)
    return model.to(device, memory_format=torch.channels_last).eval(), record.classes  # type: ignore[call-overload]


class Predictor(torch.nn.Module):
    """A network behind its normalisation: uint8 images (B, H, W, 3) -> logits (B, C, H, W)."""

    def __init__(self, network: torch.nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.network = network
        self.mean = mean
        self.std = std

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(to_input(images, self.mean, self.std))
        return logits


class Flipped(torch.nn.Module):
    """A model's mean over the eight turned and mirrored versions of an image, turned back: square images alone.

    Gives log probabilities, which are logits of the mean probabilities.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor | float = 0.0
        for turn in range(8):
            version = torch.rot90(images, turn % 4, (1, 2))
            logits = self.model(version.flip(2) if turn >= 4 else version).float()
            total = total + torch.rot90(logits.flip(3) if turn >= 4 else logits, -(turn % 4), (2, 3)).softmax(1)
        return torch.as_tensor(total).clamp(min=torch.finfo(torch.float32).tiny).div(8).log()


@torch.inference_mode()
def write_maps(
    model: torch.nn.Module,
    examples: Examples,
    path: Path,
    classes: list[str],
    options: PixelPredict,
    device: torch.device,
) -> None:
    """Write predictions of examples, a batch at a time; the same predictions give the same bytes."""
    shape = (len(examples), *examples.size)
    sums: dict[str, list[int]] = {}
    with hdf5.create(path) as file:
        hdf5.write_attribute(file, "classes", json.dumps(classes))
        class_map = file.create_dataset("class_map", shape, "u1")
        if options.probabilities:
            probabilities = file.create_dataset("probabilities", (shape[0], len(classes), *shape[1:]), "f2")
        for start in range(0, len(examples), options.batch):
            rows = slice(start, min(start + options.batch, len(examples)))
            logits = model(images_of(examples, range(rows.start, rows.stop)).to(device)).float()
            found = {"class_map": logits.argmax(1).to(torch.uint8).cpu().numpy()}
            class_map[rows] = found["class_map"]
            if options.probabilities:
                found["probabilities"] = logits.softmax(1).half().cpu().numpy()
                probabilities[rows] = found["probabilities"]
            for name, values in found.items():
                sums.setdefault(name, []).extend(map(hdf5.crc, values))
        for name, of_rows in sums.items():
            hdf5.write_sums(file, name, of_rows)


def images_of(examples: Examples, positions: range) -> torch.Tensor:
    """Images (B, H, W, 3) uint8."""
    return torch.from_numpy(np.stack([examples.image(position) for position in positions]))


@torch.inference_mode()
def measure_speed(
    model: torch.nn.Module, images: torch.Tensor, options: PixelPredict, predicted: int, seconds: float
) -> Speed:
    """FLOPs of one image (a multiplication and an addition are two) and images per second, normalisation included.

    Args:
        model: on the device that is measured.
        images: real ones (B, H, W, 3) uint8 on that device, repeated to fill a batch.
        options: the batch sizes.
        predicted: images that were predicted, in `seconds`.
    """
    with FlopCounterMode(display=False) as counter:
        model(images[:1])
    rates = {}
    for size in sorted(set(options.speed_batches)):
        batch = images[torch.arange(size, device=images.device) % len(images)]
        rates[str(size)] = round(size / median_seconds(partial(model, batch), images.device), 2)
    return Speed(
        device=torch.cuda.get_device_name() if images.is_cuda else f"cpu, {torch.get_num_threads()} threads",
        parameters=sum(value.numel() for value in model.parameters()),
        flops_per_image=counter.get_total_flops(),
        images_per_second=rates,
        best_batch=max(rates, key=lambda size: rates[size]),
        images=predicted,
        seconds=round(seconds, 2),
    )


def median_seconds(run: Callable[[], object], device: torch.device) -> float:
    """Median time of a run once warm, the device's queue emptied before each look at the clock."""
    times: list[float] = []
    for turn in range(WARM_UPS + SPEED_RUNS[1]):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        started = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if turn >= WARM_UPS:
            times.append(time.perf_counter() - started)
        if len(times) >= SPEED_RUNS[0] and sum(times) > SPEED_SECONDS:
            break
    return statistics.median(times)
