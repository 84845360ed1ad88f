"""A training leaves what later stages read, goes on where it broke off, and says what it lacks."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.base.errors import Problem
from pipeline.base.records import Model, Training
from pipeline.tiles.plan import read_plan, write_plan
from pipeline.training import loop
from tests.tiny_study import ROOT, SIZE, make_tiny_study, set_params
from tests.trainings import curves, run_train, weights_of

VARIANT = Path("models/tiny/run1/seed42/unet-plain")
PLAN = Path("data/plans/tiny/run1/plain.csv")


def leave_out(side: str) -> None:
    plan = read_plan(PLAN)
    write_plan(plan[plan["split"] != side], PLAN)


def test_a_training_learns_and_writes_what_later_stages_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, train__epochs=12, train__patience=12)
    run = run_train(tmp_path, monkeypatch)
    rows = [{key: float(value) for key, value in row.items()} for row in curves(VARIANT)]
    assert rows[-1]["train_loss"] < 0.5 * rows[0]["train_loss"]
    assert rows[-1]["validation_mean_iou"] > 2 * (1 / 3) / 3  # three classes of one size: a constant has a third of one
    record = Training.read(VARIANT / "training/training.json")
    assert (record.study, record.run, record.seed, record.variant, record.plan) == ("tiny", 1, 42, "unet", "plain")
    assert record.best_epoch == min(rows, key=lambda row: row["validation_loss"])["epoch"]
    assert record.epochs_run == len(rows) == 12
    assert record.examples == {"train": 8, "validation": 8}
    assert record.store_sha256 == {"pannuke": "a" * 64}
    model = Model.read(VARIANT / "weights/model.json")
    assert (model.licence, model.sample, model.datasets) == ("none: drawn tiles", True, ["pannuke"])
    assert (model.tile_size, model.microns_per_pixel) == (SIZE, 0.25)
    assert model.shape == {"width": 8, "decoder_channels": [32, 16, 8], "head": 1}
    tensors = load_file(VARIANT / "weights/model.safetensors")
    assert record.parameters == sum(tensor.numel() for tensor in tensors.values())
    assert run.opened == ("tiny", record.title, "tiny/run1/seed42/unet-plain")
    assert record.title == "unet-random-plain"
    assert run.steps == list(range(1, 13))
    assert run.logged["lobule.weights"] == record.weights_sha256
    assert sorted(path.name for path in (VARIANT / "weights").iterdir()) == ["model.json", "model.safetensors"]
    assert not list(Path("models/.resume").rglob("*.*"))


def test_a_training_is_named_by_what_its_variant_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variants = {"wide": {"encoder": "unet", "model": {"width": 16}}}
    make_tiny_study(tmp_path, variants=variants, train__epochs=1)
    assert run_train(tmp_path, monkeypatch, "wide").opened[1] == "wide-plain"
    assert Model.read(Path("models/tiny/run1/seed42/wide-plain/weights/model.json")).shape["width"] == 16


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_study(tmp_path)
    found = []
    for seed in (42, 42, 43):
        run_train(tmp_path, monkeypatch, seed=seed)
        found.append(weights_of(seed=seed))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "encoder",
    ["unet", pytest.param("efficientnet-b0", marks=pytest.mark.slow)],  # the second drops paths at random
)
def test_a_resumed_training_equals_an_uninterrupted_one(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "RESUME_SECONDS", 0)
    make_tiny_study(tmp_path)
    run_train(tmp_path, monkeypatch, encoder)
    folder = tmp_path / f"models/tiny/run1/seed42/{encoder}-plain"
    names = ["weights/model.safetensors", "training/curves.csv"]
    straight = [(folder / name).read_bytes() for name in names]
    with pytest.raises(RuntimeError, match="killed"):
        run_train(tmp_path, monkeypatch, encoder, fail_at=3)
    torch.manual_seed(0)  # whatever the process did in between must not matter
    run = run_train(tmp_path, monkeypatch, encoder)
    assert [(folder / name).read_bytes() for name in names] == straight
    assert run.steps == [1, 2, 3, 4]  # a new MLflow run gets the earlier epochs, too


def test_a_resume_file_of_other_settings_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "RESUME_SECONDS", 0)
    make_tiny_study(tmp_path, train__learning_rate=0.001)
    run_train(tmp_path, monkeypatch)
    straight = weights_of()
    set_params(tmp_path, train__learning_rate=0.01)
    with pytest.raises(RuntimeError, match="killed"):
        run_train(tmp_path, monkeypatch, fail_at=3)
    assert len(list(Path("models/.resume").rglob("*.ckpt"))) == 1
    set_params(tmp_path, train__learning_rate=0.001)
    run_train(tmp_path, monkeypatch)
    assert weights_of() == straight
    assert not list(Path("models/.resume").rglob("*.ckpt"))


def test_early_stopping_keeps_the_best_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, train__epochs=50, train__patience=2, train__learning_rate=0.3)
    run_train(tmp_path, monkeypatch)
    record, best = Training.read(VARIANT / "training/training.json"), weights_of()
    assert record.stopped_early is True
    assert record.epochs_run == record.best_epoch + 2
    for epochs, same in ((record.best_epoch, True), (record.epochs_run, False)):
        set_params(tmp_path, train__epochs=epochs, train__patience="none", train__learning_rate=0.3)
        run_train(tmp_path, monkeypatch)
        assert (weights_of() == best) is same  # without patience the last ones are kept, although there are better ones


def test_a_variant_starts_from_the_weights_that_another_one_has_with_the_same_run_and_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "models/tiny/run{run}/seed{seed}/mobilenet_v2-plain/weights/model.safetensors"
    variants = {"second": {"encoder": "mobilenet_v2", "model": {"weights": path, "freeze_encoder": True}}}
    make_tiny_study(tmp_path, variants=variants, train__epochs=1)
    for seed in (42, 43):
        run_train(tmp_path, monkeypatch, "mobilenet_v2", seed=seed)
    for seed in (42, 43):
        run_train(tmp_path, monkeypatch, "second", seed=seed)
        folder = Path(f"models/tiny/run1/seed{seed}")
        first, second = (
            load_file(folder / f"{name}-plain/weights/model.safetensors") for name in ("mobilenet_v2", "second")
        )
        parameters = [name for name in first if name.startswith("encoder.") and name.endswith("weight")]
        assert len(parameters) > 30
        assert all(torch.equal(first[name], second[name]) for name in parameters)
        given = Training.read(folder / "second-plain/training/training.json").weights
        assert given == str(folder / "mobilenet_v2-plain/weights/model.safetensors")
    with pytest.raises(Problem, match=r"seed44/mobilenet_v2-plain/weights/model\.safetensors does not exist"):
        run_train(tmp_path, monkeypatch, "second", seed=44)


def test_an_unknown_encoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path)
    with pytest.raises(Problem, match=r"resnet5.*did you mean resnet50"):
        run_train(tmp_path, monkeypatch, "resnet5")


@pytest.mark.parametrize("name", ["train", "validation"])
def test_a_plan_without_rows_to_learn_from_or_to_stop_by_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    leave_out(name)
    with pytest.raises(Problem, match=rf"plain\.csv has no {name} rows; change split in studies/tiny/params\.yaml"):
        run_train(tmp_path, monkeypatch)


def test_without_patience_no_validation_part_is_needed_and_the_last_weights_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_study(tmp_path, train__patience="none")
    monkeypatch.chdir(tmp_path)
    leave_out("validation")
    run = run_train(tmp_path, monkeypatch)
    assert run.steps == [1, 2, 3, 4]
    record = Training.read(VARIANT / "training/training.json")
    assert record.epochs_run == record.best_epoch == 4
    assert record.stopped_early is False
    assert record.examples == {"train": 8, "validation": 0}
    rows = curves(VARIANT)
    assert [row["validation_loss"] for row in rows] == [""] * 4
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


def test_a_loss_that_is_no_number_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, train__loss__cross_entropy=1e38)
    with pytest.raises(Problem, match=r"no finite number .* epoch 1.*; lower train\.learning_rate"):
        run_train(tmp_path, monkeypatch)
    assert not VARIANT.exists()


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, train__epochs=6, train__patience=6)
    run_train(tmp_path, monkeypatch)
    straight = weights_of()
    slowed = (
        "import time\n"
        "from pipeline.base import tracking\n"
        "from pipeline.stages import train\n"
        "from pipeline.training import loop\n"
        "loop.RESUME_SECONDS = 0\n"
        "tracking.VariantRun._open = lambda *_: None\n"
        "tracking.VariantRun._attempt = lambda *_: time.sleep(0.5)\n"
        "train.main()\n"
    )
    command = [sys.executable, "-c", slowed, "tiny", "1", "42", "unet", "plain"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(Path("models/.resume").rglob("*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list(Path("models/.resume").rglob("*.ckpt"))
    run_train(tmp_path, monkeypatch)
    assert weights_of() == straight


@pytest.mark.slow
def test_workers_change_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path)
    found = []
    for workers in (0, 2):
        set_params(tmp_path, train__workers=workers)
        run_train(tmp_path, monkeypatch)
        found.append(weights_of())
    assert found[0] == found[1]
