"""The train stage, run within the process that tests it, with a stand-in for MLflow."""

import contextlib
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.base import tracking
from pipeline.base.paths import variant_folder
from pipeline.stages import train
from tests.command_line import asked
from tests.tiny_study import STUDY


class Recorder:
    """Stands in for an MLflow run, whose import takes seconds."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.fail_at = fail_at  # the epoch in which the training breaks off
        self.steps: list[int] = []
        self.logged: dict[str, Any] = {}
        self.opened: tuple[Any, ...] = ()

    def params(self, values: dict[str, Any]) -> None:
        self.logged.update(values)

    tags = params

    def metrics(self, values: dict[str, float], step: int) -> None:
        if step == self.fail_at:
            raise RuntimeError("killed")
        self.steps.append(step)

    def artifact(self, path: Path, folder: str) -> None:
        assert path.exists()
        self.logged[folder] = path


def run_train(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    variant: str = "unet",
    fail_at: int | None = None,
    plan: str = "plain",
    seed: int = 42,
) -> Recorder:
    """Train a variant of the tiny study in `folder`, which becomes the working directory."""
    recorder = Recorder(fail_at)

    @contextlib.contextmanager
    def variant_run(*opened: Any, **_: Any) -> Iterator[Recorder]:
        recorder.opened = opened
        yield recorder

    monkeypatch.chdir(folder)
    monkeypatch.setattr(tracking, "variant_run", variant_run)
    monkeypatch.setattr(sys, "argv", ["train", *asked(STUDY, 1, seed, variant, plan)])
    train.main()
    return recorder


def weights_of(variant: str = "unet", plan: str = "plain", seed: int = 42) -> bytes:
    """The weights that were trained, in the working directory."""
    return (variant_folder(STUDY, 1, seed, variant, plan) / "weights/model.safetensors").read_bytes()


def curves(folder: Path) -> list[dict[str, str]]:
    """The rows of a variant's curves.csv."""
    with (folder / "training/curves.csv").open() as file:
        return list(csv.DictReader(file))
