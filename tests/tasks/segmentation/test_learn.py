import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.base import tracking
from pipeline.base.errors import Problem
from pipeline.base.files import read_json
from pipeline.models import build
from pipeline.stages import train
from pipeline.training import loop as training
from pipeline.training.loop import Shuffled
from tests.tiny_study import ROOT, make_tiny_study, set_params

VARIANT = Path("models/pannuke/run1/seed42/unet-plain")
LOSS = {"cross_entropy": 1.0, "dice": 0.0, "focal": 0.0, "smooth": 1.0, "dice_background": True}
ONLINE = {"crop": 32, "crops": 2, "scale": 0.2, "flips": True, "turns": True, "stain": 0.2, "colour": 0.1}


class Recorder:
    """Stands in for an MLflow run, whose import takes seconds."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.fail_at = fail_at  # the epoch in which the training breaks off
        self.steps: list[int] = []
        self.logged: dict[str, Any] = {}

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
    encoder: str = "unet",
    fail_at: int | None = None,
    plan: str = "plain",
    seed: int = 42,
) -> Recorder:
    recorder = Recorder(fail_at)

    @contextlib.contextmanager
    def variant_run(*_: Any, **__: Any) -> Iterator[Recorder]:
        yield recorder

    monkeypatch.chdir(folder)
    monkeypatch.setattr(tracking, "variant_run", variant_run)
    monkeypatch.setattr(sys, "argv", ["train", "pannuke", "1", str(seed), encoder, plan])
    train.main()
    return recorder


def curves(folder: Path) -> list[dict[str, float]]:
    with (folder / VARIANT / "training/curves.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_a_training_learns_and_writes_what_later_stages_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, train__epochs=12, train__patience=12)
    run = run_train(tmp_path, monkeypatch)
    rows = curves(tmp_path)
    assert rows[-1]["train_loss"] < 0.5 * rows[0]["train_loss"]
    assert rows[-1]["validation_mean_iou"] > 2 * (1 / 3) / 3  # three classes of one size: a constant has a third of one
    record = read_json(VARIANT / "training/training.json")
    assert record["best_epoch"] == min(rows, key=lambda row: row["validation_loss"])["epoch"]
    assert record["epochs_run"] == len(rows) == 12
    assert record["examples"] == {"train": 8, "validation": 8}
    assert record["store_sha256"] == {"pannuke": "a" * 64}
    description = read_json(VARIANT / "weights/model.json")
    assert description["licence"] == "none: drawn tiles"
    assert description["sample"] is True
    tensors = load_file(VARIANT / "weights/model.safetensors")
    assert record["parameters"] == sum(tensor.numel() for tensor in tensors.values())
    assert run.steps == list(range(1, 13))
    assert run.logged["lobule.weights"] == record["weights_sha256"]
    assert not Path("models/.resume/pannuke/run1/seed42/unet-plain").exists()


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_study(tmp_path)
    found = []
    for _ in range(2):
        run_train(tmp_path, monkeypatch)
        found.append((tmp_path / VARIANT / "weights/model.safetensors").read_bytes())
    assert found[0] == found[1]
    run_train(tmp_path, monkeypatch, seed=43)
    assert (tmp_path / "models/pannuke/run1/seed43/unet-plain/weights/model.safetensors").read_bytes() != found[0]


@pytest.mark.parametrize(
    "encoder",
    ["unet", pytest.param("efficientnet-b0", marks=pytest.mark.slow)],  # the second drops paths at random
)
def test_a_resumed_training_equals_an_uninterrupted_one(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "RESUME_SECONDS", 0)
    make_tiny_study(tmp_path)
    run_train(tmp_path, monkeypatch, encoder)
    folder = tmp_path / f"models/pannuke/run1/seed42/{encoder}-plain"
    names = ["weights/model.safetensors", "training/curves.csv"]
    straight = [(folder / name).read_bytes() for name in names]
    with pytest.raises(RuntimeError, match="killed"):
        run_train(tmp_path, monkeypatch, encoder, fail_at=3)
    torch.manual_seed(0)  # whatever the process did in between must not matter
    run = run_train(tmp_path, monkeypatch, encoder)
    assert [(folder / name).read_bytes() for name in names] == straight
    assert run.steps == [1, 2, 3, 4]  # a new MLflow run gets the earlier epochs, too


def test_a_resume_file_of_other_settings_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "RESUME_SECONDS", 0)
    make_tiny_study(tmp_path, train__learning_rate=0.001)
    run_train(tmp_path, monkeypatch)
    straight = (VARIANT / "weights/model.safetensors").read_bytes()
    set_params(tmp_path, train__learning_rate=0.01)
    with pytest.raises(RuntimeError, match="killed"):
        run_train(tmp_path, monkeypatch, fail_at=3)
    assert len(list(Path("models/.resume").rglob("*.ckpt"))) == 1
    set_params(tmp_path, train__learning_rate=0.001)
    run_train(tmp_path, monkeypatch)
    assert (VARIANT / "weights/model.safetensors").read_bytes() == straight
    assert not list(Path("models/.resume").rglob("*.ckpt"))


def test_early_stopping_keeps_the_best_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, train__epochs=50, train__patience=2, train__learning_rate=0.3)
    run_train(tmp_path, monkeypatch)
    record = read_json(VARIANT / "training/training.json")
    assert record["stopped_early"] is True
    assert record["epochs_run"] == record["best_epoch"] + 2


def test_a_frozen_encoder_keeps_its_first_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, model__freeze_encoder=True)
    run_train(tmp_path, monkeypatch, "mobilenet_v2")
    folder = Path("models/pannuke/run1/seed42/mobilenet_v2-plain")
    torch.manual_seed(42)
    network = build("mobilenet_v2", 6, 8, [32, 16, 8])
    trained = load_file(folder / "weights/model.safetensors")
    moved = {name.split(".")[0] for name, first in network.named_parameters() if not torch.equal(first, trained[name])}
    assert moved == {"decoder", "segmentation_head"}
    frozen = sum(value.numel() for value in network.get_submodule("encoder").parameters())
    record = read_json(folder / "training/training.json")
    assert record["parameters"] - record["trainable_parameters"] == frozen


def test_a_loss_that_is_no_number_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, train__loss={**LOSS, "cross_entropy": 1e38})
    with pytest.raises(Problem, match=r"no finite number after epoch 1; lower train\.learning_rate"):
        run_train(tmp_path, monkeypatch)
    assert not VARIANT.exists()


def test_an_unknown_encoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path)
    with pytest.raises(Problem, match=r"resnet5.*did you mean resnet50"):
        run_train(tmp_path, monkeypatch, "resnet5")


def test_a_plan_without_validation_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path)
    path = tmp_path / "data/plans/pannuke/run1/plain.csv"
    path.write_text("".join(line for line in path.open() if ",validation," not in line))
    with pytest.raises(Problem, match="no validation rows"):
        run_train(tmp_path, monkeypatch)


def test_without_patience_no_validation_part_is_needed_and_the_last_weights_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_study(tmp_path, train__patience="none")
    path = tmp_path / "data/plans/pannuke/run1/plain.csv"
    path.write_text("".join(line for line in path.open() if ",validation," not in line))
    run = run_train(tmp_path, monkeypatch)
    assert run.steps == [1, 2, 3, 4]
    record = read_json(VARIANT / "training/training.json")
    assert record["epochs_run"] == record["best_epoch"] == 4
    assert record["examples"] == {"train": 8, "validation": 0}
    with (VARIANT / "training/curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["validation_loss"] for row in rows] == [""] * 4
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


def test_online_augmentation_resumes_to_the_same_weights_and_is_for_augmented_variants_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "RESUME_SECONDS", 0)
    changes = {"train__schedule": "cosine", "train__optimiser": "adamw", "train__weight_decay": 0.01}
    make_tiny_study(tmp_path, **changes)
    run_train(tmp_path, monkeypatch)
    plain = (VARIANT / "weights/model.safetensors").read_bytes()
    rates = [row["learning_rate"] for row in curves(tmp_path)]
    assert rates == sorted(rates, reverse=True) and rates[0] < 0.003 and rates[-1] == pytest.approx(0, abs=1e-9)
    set_params(tmp_path, **changes, augment__online=ONLINE)
    plans = tmp_path / "data/plans/pannuke/run1"
    (plans / "augmented.csv").write_bytes((plans / "plain.csv").read_bytes())
    run_train(tmp_path, monkeypatch)
    assert (VARIANT / "weights/model.safetensors").read_bytes() == plain
    path = VARIANT.with_name("unet-augmented") / "weights/model.safetensors"
    run_train(tmp_path, monkeypatch, plan="augmented")
    straight = path.read_bytes()
    assert straight != plain
    with pytest.raises(RuntimeError, match="killed"):
        run_train(tmp_path, monkeypatch, fail_at=3, plan="augmented")
    run_train(tmp_path, monkeypatch, plan="augmented")
    assert path.read_bytes() == straight


def test_adamw_and_weight_decay_change_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path)
    found = []
    for optimiser, decay in (("adam", 0.0), ("adamw", 0.0), ("adamw", 0.1), ("adam", 0.1)):
        set_params(tmp_path, train__optimiser=optimiser, train__weight_decay=decay)
        run_train(tmp_path, monkeypatch)
        found.append((VARIANT / "weights/model.safetensors").read_bytes())
    assert found[0] == found[1]  # without decay they are the same
    assert len(set(found)) == 3


def test_the_order_of_tiles_follows_from_seed_and_epoch() -> None:
    sampler = Shuffled(20, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert list(Shuffled(20, seed=4)) != first


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, train__epochs=6, train__patience=6)
    run_train(tmp_path, monkeypatch)
    straight = (VARIANT / "weights/model.safetensors").read_bytes()
    slowed = (
        "import time; from pipeline.base import tracking; from pipeline.stages import train\n"
        "from pipeline.training import loop\n"
        "loop.RESUME_SECONDS = 0\n"
        "tracking.VariantRun._open = lambda *_: None\n"
        "tracking.VariantRun._attempt = lambda *_: time.sleep(0.5)\n"
        "train.main()\n"
    )
    command = [sys.executable, "-c", slowed, "pannuke", "1", "42", "unet", "plain"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(Path("models/.resume").rglob("*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    run_train(tmp_path, monkeypatch)
    assert (VARIANT / "weights/model.safetensors").read_bytes() == straight


@pytest.mark.slow
def test_workers_change_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path)
    found = []
    for workers in (0, 2):
        set_params(tmp_path, train__workers=workers)
        run_train(tmp_path, monkeypatch)
        found.append(np.frombuffer((VARIANT / "weights/model.safetensors").read_bytes(), np.uint8))
    np.testing.assert_array_equal(*found)


def test_positions_are_numbered_by_epoch_where_a_data_set_wants_to_know_it() -> None:
    sampler = Shuffled(20, seed=3, numbered=True)
    assert list(sampler) == list(Shuffled(20, seed=3))
    sampler.set_epoch(2)
    assert sorted(sampler) == list(range(40, 60))
