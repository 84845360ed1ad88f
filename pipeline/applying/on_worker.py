"""What a Dask worker does with slides: it loads a network once, and applies it to one slide after another."""

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from pipeline.applying.here import Asked, Here, peak
from pipeline.applying.work import apply_to
from pipeline.base.errors import Problem
from pipeline.base.records import AppliedParameters, AppliedSlide
from pipeline.cluster import work

T = TypeVar("T")
U = TypeVar("U")
_kept: dict[tuple[str, Path], Here] = {}  # by call and model: one at most
_device: dict[str, str] = {}  # the GPU that it lies on, by call


@dataclass(frozen=True)
class Order:
    """A model for all slides of a call."""

    run: str  # the call's
    asked: Asked  # with paths that hold in any working directory
    threads: int | None  # None: the worker's
    stages_a_gpu: int
    on_gpu: bool | None  # None: where there is one


@dataclass(frozen=True)
class Used:
    """What a network runs on."""

    engine: str
    difference: float  # of its probabilities from torch's
    device: str
    on_gpu: bool


@dataclass(frozen=True)
class One:
    """A slide."""

    name: str
    path: Path  # absolute, as is `out`
    out: Path
    parameters: AppliedParameters


@dataclass(frozen=True)
class Found:
    """What a slide gave; where `slide` is None, why it gave nothing."""

    slide: AppliedSlide | None
    why: str
    peak: int  # the most memory that the worker has had, bytes


class Unwanted(Exception):
    """Nobody waits for this slide any more."""


def look(order: Order) -> Used | Problem:
    """Load the network, and tell what it runs on; or what is wrong with it."""
    try:
        with _here(order) as here:
            return Used(here.engine, here.difference, here.device, here.on_gpu)
    except Problem as problem:
        return problem


def apply(order: Order, one: One) -> Found:
    """Apply the model to a slide; what an earlier worker did of it is not done again."""
    wanted = work.wanted()

    def check() -> None:
        if order.run in work.ended or not wanted():
            raise Unwanted

    try:
        with _here(order) as here:
            check()
            task = here.task(one.parameters)
            if task.predict:
                task = replace(task, predict=_checked(task.predict, check))
            if task.detect:
                task = replace(task, detect=_checked(task.detect, check))
            return Found(apply_to(one.path, one.name, one.out, task), "", peak())
    except Unwanted:
        return Found(None, "it was interrupted", peak())
    except (Problem, OSError) as error:
        return Found(None, str(error), peak())
    except Exception:
        traceback.print_exc()  # here, since only what it says comes back
        raise


def forget(run: str) -> None:
    """Let go of the network of a call."""
    for key in [key for key in _kept if key[0] == run]:
        del _kept[key]
    _device.pop(run, None)


@contextmanager
def _here(order: Order) -> Iterator[Here]:
    """The network, loaded unless it is already, with a GPU that nobody else uses meanwhile."""
    from distributed.worker import get_worker

    threads = order.threads or get_worker().state.nthreads
    os.environ["OMP_NUM_THREADS"] = str(threads)  # ONNX Runtime's are made by it
    torch.set_num_threads(threads)
    on_gpu = torch.cuda.is_available() if order.on_gpu is None else order.on_gpu
    names = work.devices() if on_gpu else []
    mine = [_device[order.run]] if order.run in _device else names
    with work.device(order.run, mine, order.stages_a_gpu) as name:
        key = order.run, order.asked.model.folder
        if key not in _kept:
            _kept.clear()
            device = f"cuda:{names.index(name) if name in names else 0}" if on_gpu else "cpu"
            _kept[key] = Here(order.asked, torch.device(device))
            if name is not None:
                _device[order.run] = name
        yield _kept[key]


def _checked(function: Callable[[T], U], check: Callable[[], Any]) -> Callable[[T], U]:
    def checked(argument: T) -> U:
        check()
        return function(argument)

    return checked
