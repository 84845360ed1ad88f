"""A training leaves what later stages read, goes on where it broke off, and says what it lacks."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.base.errors import Problem
from pipeline.base.records import Model, Seen, Training
from pipeline.tasks.segmentation.learn import prepare
from pipeline.tiles.plan import read_plan, write_plan
from pipeline.training import resume
from pipeline.training.job import bound
from tests.command_line import asked
from tests.tiny_study import ROOT, SIZE, job_of, make_tiny_study, set_params
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
    assert (model.study, model.variant) == ("tiny", "unet-plain")
    tiles = {"fold1": "0-7", "fold2": "0-7"}
    seen = Seen(dataset="pannuke", sha256="a" * 64, shards=[*tiles], patients=[], sample=True, tiles=tiles)
    assert model.trained_on == [seen]
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
    monkeypatch.setattr(resume, "SHARE", math.inf)
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


def interrupt(folder: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> list[Path]:
    """Break a training off in an epoch; the states that it kept, the newest last."""
    with pytest.raises(RuntimeError, match="killed"):
        run_train(folder, monkeypatch, fail_at=at)
    return sorted(Path("models/.resume").rglob("*.ckpt"))


@pytest.mark.parametrize("epoch", [2, 3, 5])
def test_a_training_goes_on_after_any_epoch(epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "SHARE", math.inf)
    changes = {"train__optimiser": "adamw", "train__weight_decay": 0.01, "train__schedule": "cosine"}
    make_tiny_study(tmp_path, train__epochs=6, train__patience=2, train__learning_rate=0.1, **changes)
    run_train(tmp_path, monkeypatch)
    straight = weights_of(), (VARIANT / "training/curves.csv").read_bytes()
    assert len(curves(VARIANT)) >= epoch
    assert len(interrupt(tmp_path, monkeypatch, epoch)) == min(epoch - 1, resume.KEPT)
    run_train(tmp_path, monkeypatch)
    assert (weights_of(), (VARIANT / "training/curves.csv").read_bytes()) == straight
    assert not Path("models/.resume/tiny/run1/seed42/unet-plain").exists()


def test_a_training_goes_on_with_the_threads_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "SHARE", math.inf)
    make_tiny_study(tmp_path)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    interrupt(tmp_path, monkeypatch, 3)
    torch.set_num_threads(2)
    run_train(tmp_path, monkeypatch)
    torch.set_num_threads(before)
    assert Training.read(VARIANT / "training/training.json").machine.threads == 1


@pytest.mark.parametrize("what", ["parameters", "plan", "tiles"])
def test_a_training_of_something_else_begins_anew_and_says_so(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resume, "SHARE", math.inf)
    make_tiny_study(tmp_path)
    interrupt(tmp_path, monkeypatch, 3)
    if what == "parameters":
        set_params(tmp_path, train__learning_rate=0.01)
    elif what == "plan":
        lines = (line for line in PLAN.open() if ",fold1,7," not in line and not line.startswith("#"))
        PLAN.write_text("".join(lines))
    else:
        os.utime("data/tiles/pannuke/fold1.h5")
    run = run_train(tmp_path, monkeypatch)
    found = weights_of()
    kept = "what models/.resume/tiny/run1/seed42/unet-plain kept"
    assert f"lobule: {kept} is of other {what}; the training begins anew.\n" in capsys.readouterr().err
    assert run.steps == [1, 2, 3, 4]
    run_train(tmp_path, monkeypatch)
    assert weights_of() == found


def test_first_weights_bind_by_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    job = job_of("unet")
    lesson = prepare(job)
    lesson = replace(lesson, model=lesson.model.model_copy(update={"weights": "first.safetensors"}))
    found = []
    for content in (b"a", b"b"):
        Path("first.safetensors").write_bytes(content)
        found.append(bound(job, lesson))
    assert [name for name in found[0] if found[0][name] != found[1][name]] == ["first weights"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "both"])
def test_a_damaged_state_is_told_and_the_one_before_is_gone_on_from(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resume, "SHARE", math.inf)
    make_tiny_study(tmp_path)
    run_train(tmp_path, monkeypatch)
    straight = weights_of()
    states = interrupt(tmp_path, monkeypatch, 4)
    for path in states if damage == "both" else states[-1:]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content[: 1000 if damage == "truncated" else None])
    run_train(tmp_path, monkeypatch)
    assert weights_of() == straight
    rest = ["begins anew"] if damage == "both" else []
    said = [line for line in capsys.readouterr().err.splitlines() if " is damaged; the training " in line]
    assert [line.partition("the training ")[2] for line in said] == [
        f"{what}." for what in ["goes on from the state before", *rest]
    ]


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
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_ended_resumes_to_the_same_weights(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_study(tmp_path, train__epochs=6, train__patience=6, train__workers=1)
    run_train(tmp_path, monkeypatch)
    straight = weights_of()
    slowed = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's & has what it starts ignore it
        "from pipeline.base import tracking\n"
        "from pipeline.stages import train\n"
        "from pipeline.training import resume\n"
        "resume.SHARE = 1e9\n"
        "tracking.VariantRun._open = lambda *_: None\n"
        "tracking.VariantRun._attempt = lambda *_: time.sleep(0.5)\n"
        "from pipeline.base.errors import run_stage\n"
        "run_stage(train.main)\n"
    )
    command = [sys.executable, "-c", slowed, *asked("tiny", 1, 42, "unet", "plain")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(Path("models/.resume").rglob("*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    assert "Traceback" not in said
    assert number == signal.SIGKILL or re.search(
        r"interrupted \(its state after epoch \d is kept\); run the same", said
    )
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
