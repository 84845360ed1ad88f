"""A classifier of tiles learns whether the target is anywhere in a tile."""

from pathlib import Path

import pytest

from pipeline.base.records import Model, Training
from pipeline.base.study import PixelStudy
from pipeline.plans.job import Job
from pipeline.tasks.tiles.learn import Labelled, prepare
from tests.forked import on_each
from tests.tasks.tiles.conftest import LOSS, SIDES, TRAIN
from tests.tiny_study import job_of
from tests.trainings import curves, run_train, weights_of


def test_it_trains_and_the_same_seed_gives_the_same_bytes(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    run_train(Path(), monkeypatch, "sorter", plan="balanced")
    losses = [float(row["train_loss"]) for row in curves(job.folder)]
    assert len(losses) == 2 and losses[1] < losses[0]
    assert Training.read(job.folder / "training/training.json").examples == {"train": 12, "validation": 4}
    model = Model.read(job.folder / "weights/model.json")
    assert (model.task, model.target, model.licence) == ("tiles", "UDH", "none: drawn tiles")
    first = weights_of("sorter", "balanced")
    run_train(Path(), monkeypatch, "sorter", plan="balanced")
    assert weights_of("sorter", "balanced") == first


def test_two_processes_train_one_classifier(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_each(lambda: run_train(Path(), monkeypatch, "sorter", plan="balanced")) == [0, 0]
    assert len(curves(job.folder)) == 2
    assert Training.read(job.folder / "training/training.json").machine.processes == 2


@pytest.mark.parametrize("side", SIDES)
def test_a_tile_with_one_pixel_of_the_target_has_it(job: Job, side: str) -> None:
    labelled = Labelled.of(job.rows(side), job.settings).label("UDH")
    assert len(labelled) == SIDES[side]
    assert [int(labelled[i][1].item()) for i in range(4)] == [0, 1, 0, 1]
    assert labelled[0][1].shape == (1, 1)
    none = Labelled.of(job.rows(side), job.settings).label("PB")
    assert not any(none[i][1].item() for i in range(4))


def test_it_learns_as_the_variant_says_whatever_the_study_has(job: Job) -> None:
    lesson = prepare(job)
    assert isinstance(job.settings, PixelStudy) and isinstance(job_of("unet").settings, PixelStudy)
    assert {name: lesson.settings["train"][name] for name in TRAIN} == TRAIN
    assert {name: lesson.settings["train"]["loss"][name] for name in LOSS} == LOSS
    assert job_of("unet").settings.train.loss.dice == 1  # type: ignore[union-attr]
    assert job_of("unet").task == "segmentation"


def test_a_u_net_starts_from_the_classifier_of_its_run_and_seed(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    run_train(Path(), monkeypatch, "sorter", plan="balanced", seed=7)
    run_train(Path(), monkeypatch, "started", plan="balanced", seed=7)
    record = Training.read(Path("models/tiny/run1/seed7/started-balanced/training/training.json"))
    assert record.weights == "models/tiny/run1/seed7/sorter-balanced/weights/model.safetensors"
