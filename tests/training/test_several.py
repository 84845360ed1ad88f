"""A training on two processes, on the CPU: the same examples, losses and counts as on one, and one voice."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pipeline.base import tracking
from pipeline.base.errors import run_stage
from pipeline.base.records import Training
from pipeline.models import unet
from pipeline.stages import train
from pipeline.tiles.examples import Examples
from pipeline.training import loop, resume
from tests.command_line import asked
from tests.forked import on_each
from tests.tiny_study import ROOT, make_tiny_study, set_params
from tests.trainings import curves, run_train, weights_of

VARIANT = Path("models/tiny/run1/seed42/unet-plain")
UNEVEN = {"tiles": 7, "train__batch": 3, "train__learning_rate": 1e-4, "train__epochs": 3, "train__patience": 3}
TERMS = {"train__loss__dice": 1, "train__loss__focal": 1}
MLFLOW = {"__init__": lambda *_: note("opened", "a run"), "_attempt": lambda *_: None}


def note(name: str, text: str) -> None:
    """Add a line to a file of this process in the working directory."""
    with Path(f"{name}.{os.environ['RANK']}").open("a") as file:
        file.write(f"{text}\n")


def train_on_two(monkeypatch: pytest.MonkeyPatch, variant: str = "unet", plan: str = "plain") -> list[int | None]:
    """Run the stage in the working directory, with a note of who opens a run of MLflow and who reads which tile."""
    read = Examples.__getitem__

    def noted(self: Examples, position: int) -> Any:
        note("read", f"{self.plan['split'].iloc[0]} {position}")
        return read(self, position)

    with monkeypatch.context() as patch:
        patch.setattr(Examples, "__getitem__", noted)
        for name, action in MLFLOW.items():
            patch.setattr(tracking.VariantRun, name, action)
        patch.setattr(sys, "argv", ["train", *asked("tiny", 1, 42, variant, plan)])
        return on_each(lambda: run_stage(train.main))


def losses(folder: Path = VARIANT) -> list[float]:
    return [float(row[name]) for row in curves(folder) for name in ("train_loss", "validation_loss")]


@pytest.mark.parametrize("terms", [{}, TERMS], ids=["cross-entropy", "terms"])
def test_two_processes_learn_as_one(
    terms: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_tiny_study(tmp_path, **UNEVEN, **terms)
    with monkeypatch.context() as patch:
        run_train(tmp_path, patch)
    monkeypatch.chdir(tmp_path)
    alone, tensors, rows = losses(), load_file(VARIANT / "weights/model.safetensors"), curves(VARIANT)
    capfd.readouterr()
    assert train_on_two(monkeypatch) == [0, 0]
    assert capfd.readouterr().out.count("epoch   1/3") == 1
    assert losses() == pytest.approx(alone, rel=1e-5)
    together = load_file(VARIANT / "weights/model.safetensors")
    assert all(torch.allclose(tensors[name], together[name], atol=1e-3) for name in tensors)  # nine steps of Adam
    for name in ("validation_accuracy", "validation_mean_iou"):
        assert float(curves(VARIANT)[-1][name]) == pytest.approx(float(rows[-1][name]), abs=0.01)
    read = Counter(line for path in Path().glob("read.*") for line in path.read_text().splitlines())
    assert read == {f"{side} {position}": 3 for side in ("train", "validation") for position in range(7)}  # epochs
    assert len(list(Path().glob("read.*"))) == 2
    assert [path.name for path in Path().glob("opened.*")] == ["opened.0"]
    assert Training.read(VARIANT / "training/training.json").machine.processes == 2


def test_two_processes_change_colours_as_one_where_a_gpu_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {"crop": 32, "crops": 1, "scale": 0.2, "flips": True, "turns": True, "stain": 0.3, "colour": 0.1}
    make_tiny_study(tmp_path, **UNEVEN, augment__online=drawn)  # of the last image one process has nothing
    plans = tmp_path / "data/plans/tiny/run1"
    (plans / "augmented.csv").write_bytes((plans / "plain.csv").read_bytes())
    shown_to = loop.shown_to
    monkeypatch.setattr(loop, "shown_to", lambda _, training: shown_to(torch.device("cuda"), training))
    run_train(tmp_path, monkeypatch, plan="augmented")
    folder = VARIANT.with_name("unet-augmented")
    alone = losses(folder)
    assert train_on_two(monkeypatch, plan="augmented") == [0, 0]
    assert losses(folder) == pytest.approx(alone, rel=1e-5)


def test_one_process_without_memory_has_all_learn_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_tiny_study(tmp_path, **UNEVEN | {"train__batch": 4})
    run_train(tmp_path, monkeypatch)
    alone, forward = losses(), unet.UNet.forward

    def short(self: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > 1 and os.environ["RANK"] == "1":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, batch)

    monkeypatch.setattr(unet.UNet, "forward", short)
    capfd.readouterr()
    assert train_on_two(monkeypatch) == [0, 0]
    assert capfd.readouterr().out.count("batches are learnt in 2 parts") == 1
    assert Training.read(VARIANT / "training/training.json").machine.parts == 2
    assert losses() == pytest.approx(alone, rel=1e-5)  # cross-entropy is a mean of pixels, as many a tile


def test_a_loss_that_is_no_number_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_tiny_study(tmp_path, train__loss__cross_entropy=1e38)
    monkeypatch.chdir(tmp_path)
    assert sorted(train_on_two(monkeypatch), key=str) == [1, 75]
    said = capfd.readouterr().err
    assert re.findall(r"lobule: the loss is no finite number .*; lower train\.learning_rate", said)
    assert said.count("lobule: ") == 1 and "Traceback" not in said
    assert not VARIANT.exists()


def test_a_batch_too_small_to_share_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_tiny_study(tmp_path, train__batch=1)
    monkeypatch.chdir(tmp_path)
    assert sorted(train_on_two(monkeypatch), key=str) == [1, 75]
    assert "2 processes train, and train.batch is 1; set LOBULE_DEVICES" in capfd.readouterr().err


def test_each_process_has_images_enough_for_its_batch_normalisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    deep = {"model__decoder_channels": [32, 16, 8, 8, 8]}  # down to a single pixel
    make_tiny_study(tmp_path, tiles=6, train__epochs=2, **deep)  # of the last two images one process has both
    monkeypatch.chdir(tmp_path)
    assert train_on_two(monkeypatch, "mobilenet_v2") == [0, 0]
    assert len(curves(VARIANT.with_name("mobilenet_v2-plain"))) == 2
    set_params(tmp_path, train__batch=3, **deep)
    assert sorted(train_on_two(monkeypatch, "mobilenet_v2"), key=str) == [1, 75]
    assert "each needs two images for its batch normalisation, and train.batch is 3" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("hurt", [0, 1])
def test_a_killed_process_ends_the_others_and_the_training_goes_on(
    hurt: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_study(tmp_path, **UNEVEN | {"train__epochs": 6, "train__patience": 6})
    monkeypatch.setattr(resume, "SHARE", math.inf)
    monkeypatch.chdir(tmp_path)
    assert train_on_two(monkeypatch) == [0, 0]
    straight = weights_of(), (VARIANT / "training/curves.csv").read_bytes()
    patched = (
        "import time\n"
        "from pipeline.base import tracking\n"
        "from pipeline.base.errors import run_stage\n"
        "from pipeline.stages import train\n"
        "from pipeline.training import resume\n"
        "resume.SHARE = 1e9\n"
        "tracking.VariantRun.__init__ = lambda *_: None\n"
        "tracking.VariantRun._attempt = lambda *_: time.sleep(0.5)\n"
        "run_stage(train.main)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", patched, *asked("tiny", 1, 42, "unet", "plain")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "LOBULE_DEVICES": "2"},
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 300
    while not list(Path("models/.resume").rglob("*.ckpt")) and time.monotonic() < until:
        time.sleep(0.02)
    children = {child.environ()["RANK"]: child for child in psutil.Process(process.pid).children()}
    assert sorted(children) == ["0", "1"]
    children[str(hurt)].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    said = process.communicate(timeout=60)[1]
    assert time.monotonic() - killed < 20
    assert process.returncode == 1
    assert re.fullmatch(
        r"lobule: one of the training's processes was killed by SIGKILL.* run the same command again.*\n", said
    )
    assert not any(child.is_running() for child in children.values())
    assert list(Path("models/.resume").rglob("*.ckpt"))
    assert train_on_two(monkeypatch) == [0, 0]
    assert (weights_of(), (VARIANT / "training/curves.csv").read_bytes()) == straight


SRUN = """#!{python}
import os, subprocess, sys
options = dict(word[2:].split("=") for word in sys.argv[1:] if word.startswith("--") and "=" in word)
command = sys.argv[1 + len(options):]
tasks = range(int(options["ntasks"]))
said = {{"SLURM_STEP_ID": "0", "SLURM_NTASKS": options["ntasks"], "SLURM_NNODES": options["nodes"],
        "SLURM_NTASKS_PER_NODE": options["ntasks-per-node"], "SLURM_NODELIST": "127.0.0.1", "SLURM_LOCALID": "0"}}
processes = [
    subprocess.Popen(command, env=os.environ | said | {{"SLURM_PROCID": str(i), "SLURM_NODEID": str(i)}})
    for i in tasks
]
sys.exit(max(process.wait() for process in processes))
"""


@pytest.mark.slow
def test_slurm_starts_the_processes_on_several_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each task is a machine of its own, as far as it is told.
    make_tiny_study(tmp_path, **UNEVEN)
    run_train(tmp_path, monkeypatch)
    alone = losses()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/srun").write_text(SRUN.format(python=sys.executable))
    (tmp_path / "bin/srun").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.stages.train", *asked("tiny", 1, 42, "unet", "plain")],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
            "LOBULE_NODES": "2",
            "SLURM_JOB_ID": "12",
            "DVC_STAGE": "train",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert losses() == pytest.approx(alone, rel=1e-5)
    assert Training.read(VARIANT / "training/training.json").machine.processes == 2
