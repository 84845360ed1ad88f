import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch

import pipeline
from pipeline.base import tracking
from pipeline.base.errors import Problem
from pipeline.base.records import Model, Training
from pipeline.plans.job import Job
from pipeline.tasks.detection.learn import CODE, prepare
from pipeline.tiles.plan import read_plan, write_plan
from pipeline.training.job import train
from pipeline.training.peers import together
from tests.forked import on_each


def test_the_record_holds_what_builds_the_model_again(job_of: Callable[..., Job]) -> None:
    lesson = prepare(job_of())
    assert lesson.model.task == "detection"
    assert lesson.model.licence == "none: drawn tiles"
    assert lesson.model.shape == {
        "width": 64,
        "channels": 32,
        "anchors": [12, 24, 48, 96, 192],
        "anchor_iou": [0.3, 0.7],
        "proposals": 40,
        "sampled": 32,
        "nuclei": 0.5,
        "nms": 0.5,
    }
    assert lesson.settings["train"]["epochs"] == 1
    assert "workers" not in lesson.settings["train"]  # how it is run shapes no weights


def test_an_image_comes_with_its_nuclei(job_of: Callable[..., Job]) -> None:
    training = prepare(job_of()).training
    assert len(training) == 8
    image, target = training[2]
    assert image.shape == (3, 64, 64) and image.dtype == torch.float32 and image.min() >= 0 and image.max() <= 1
    assert target["labels"].tolist() == [2] * 4
    for box, mask in zip(target["boxes"].int().tolist(), target["masks"], strict=True):
        x0, y0, x1, y1 = box
        assert (x1 - x0, y1 - y0) == (14, 14)
        assert mask[y0:y1, x0:x1].all() and mask.sum() == 14 * 14


def test_the_seed_gives_the_first_weights(job_of: Callable[..., Job]) -> None:
    def first(seed: int) -> torch.Tensor:
        return next(prepare(job_of(seed=seed)).learner.network.parameters()).detach()

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_a_plan_without_training_images_is_refused(job_of: Callable[..., Job]) -> None:
    job = job_of()
    path = job.plan_path("augmented")
    write_plan(read_plan(path).assign(split="test"), path)
    with pytest.raises(Problem, match=r"has no train rows; change split in studies/bach/params\.yaml"):
        prepare(job)


def test_the_code_that_shapes_the_weights_is_there() -> None:
    for pattern in CODE:
        assert list(Path(pipeline.__file__).parent.glob(pattern)), pattern


@pytest.mark.slow
def test_a_training_writes_weights_and_the_curve_of_each_loss(
    job_of: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "variant_run", lambda *_, **__: contextlib.nullcontext(mock.MagicMock()))
    job = job_of()
    train(job, prepare(job), time.monotonic())
    curves = pd.read_csv(job.folder / "training" / "curves.csv")
    parts = curves[[f"train_{name}" for name in ("class", "box", "mask", "rpn", "rpn_box")]]
    assert np.isfinite(parts.to_numpy()).all()
    np.testing.assert_allclose(parts.sum(axis=1), curves["train_loss"])
    assert curves["validation_loss"].isna().all()
    record = Training.read(job.folder / "training" / "training.json")
    weights = (job.folder / "weights" / "model.safetensors").read_bytes()
    assert record.weights_sha256 == hashlib.sha256(weights).hexdigest()
    assert Model.read(job.folder / "weights" / "model.json").encoder == "resnet18"


@pytest.mark.slow
def test_two_processes_train_one_model(job_of: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "variant_run", lambda *_, **__: contextlib.nullcontext(mock.MagicMock()))
    job = job_of()

    def run() -> None:
        with together() as peers:
            lesson = prepare(job)
            lesson.learner.peers = peers
            train(job, lesson, time.monotonic())
            weights = [value.detach() for value in lesson.learner.network.parameters()]
            assert peers.tell(weights[0].sum()) == weights[0].sum()

    assert on_each(run) == [0, 0]
    curves = pd.read_csv(job.folder / "training" / "curves.csv")
    assert np.isfinite(curves["train_loss"]).all()
    assert Training.read(job.folder / "training" / "training.json").machine.processes == 2
