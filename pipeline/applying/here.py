"""A trained model in this process: its network is loaded once, slides come one after another."""

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.applying.engine import Engine, choose_engine
from pipeline.applying.field import Regions
from pipeline.applying.model import Chosen, detector, network_of
from pipeline.applying.task import BLOCK, MANY, Detect, Task
from pipeline.applying.work import apply_to
from pipeline.base.errors import Problem
from pipeline.base.records import AppliedParameters, AppliedSlide


@dataclass(frozen=True)
class Asked:
    """A model, and what is asked of it beside the parameters."""

    model: Chosen
    tile_size: int | None  # px; None: as in training
    engine: str | None  # torch or onnx; None: what is best
    batch: int  # tiles at once
    regions: Regions | None
    ome_tiff: bool  # whether the class map is wanted, too


class Here:
    """A model that this process applies.

    Raises:
        Problem: the weights cannot be loaded, or the engine that is asked for cannot run them.
    """

    def __init__(self, asked: Asked, device: torch.device | None = None) -> None:
        self._asked = asked
        device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._engine, self._detect = network(asked, device)
        self.engine, self.difference = self._engine.name, self._engine.difference
        self.on_gpu = device.type == "cuda"
        threads = torch.get_num_threads()
        self.device = torch.cuda.get_device_name(device) if self.on_gpu else f"cpu, {threads} threads"

    def apply_to_all(
        self, slides: Mapping[str, Path], out: Path, parameters: AppliedParameters
    ) -> tuple[list[AppliedSlide], dict[str, str]]:
        """What was found in each slide, and why others failed, each told when it happens."""
        task = self.task(parameters)
        done, failed = [], {}
        for name, path in slides.items():
            try:
                found = apply_to(path, name, out, task)
            except (Problem, OSError) as error:
                failed[name] = str(error)
                tell_failed(name, str(error))
                continue
            done.append(found.model_copy(update={"path": str(path)}))  # an earlier call may have named it otherwise
            tell(found)
        return done, failed

    def task(self, parameters: AppliedParameters) -> Task:
        """What is done on every slide."""
        return task_of(self._asked, parameters, self._engine, self._detect)

    def peak(self) -> int:
        return peak()


def network(asked: Asked, device: torch.device) -> tuple[Engine, Detect | None]:
    """What predicts, and what finds nuclei where the model is a detector.

    Raises:
        Problem: the weights cannot be loaded, or the engine that is asked for cannot run them.
    """
    model = asked.model
    if model.record.task == "detection":
        return Engine(None, "torch", 0), detector(model, device)
    size = asked.tile_size or model.record.tile_size
    return choose_engine(network_of(model, device), device, size, asked.engine), None


def task_of(
    asked: Asked, parameters: AppliedParameters, engine: Engine | None = None, detect: Detect | None = None
) -> Task:
    """What is done on every slide, by a network."""
    record = asked.model.record
    return Task(
        engine.predict if engine else None,
        asked.model.sha256,
        record.classes,
        record.microns_per_pixel,
        record.greyscale,
        parameters,
        asked.regions,
        asked.batch,
        kind=record.task,
        detect=detect,
        ome_tiff=asked.ome_tiff,
        block=BLOCK if len(record.classes) <= MANY else BLOCK // 2,
    )


def peak() -> int:
    """The most memory that this process has had, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def tell(found: AppliedSlide) -> None:
    """Say that a slide is done."""
    rate = found.square_millimetres / found.seconds if found.seconds else 0
    print(f"{found.name}: {found.square_millimetres:.3g} mm2 in {found.seconds:.1f} s ({rate:.3g} mm2/s)", flush=True)
    for note in found.notes:
        print(f"lobule: {found.name}: {note}", file=sys.stderr, flush=True)


def tell_failed(name: str, why: str) -> None:
    """Say that a slide failed."""
    print(f"lobule: {name}: {why}", file=sys.stderr, flush=True)
