import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.base.errors import Problem
from pipeline.base.records import Model, Speed
from pipeline.models import weights
from pipeline.plans.job import Job
from pipeline.tasks.detection.learn import prepare
from pipeline.tasks.detection.predict import predict, write_objects
from pipeline.tasks.detection.score import read_objects
from pipeline.tiles.objects import Objects

ROOT = Path(__file__).parents[3]


def write_weights(job: Job) -> None:
    """Random weights, as `train` writes them."""
    lesson = prepare(job)
    (job.folder / "weights").mkdir(parents=True)
    weights.save(lesson.learner.network, job.folder / "weights" / "model.safetensors")
    lesson.model.write(job.folder / "weights" / "model.json")


def test_detections_of_every_side_and_the_speed_are_written(job_of: Callable[..., Job], tmp_path: Path) -> None:
    job = job_of()
    write_weights(job)
    predict(job, tmp_path)
    with h5py.File(tmp_path / "detections.h5") as file:
        assert json.loads(file.attrs["classes"])[3] == "in_situ"
        for side, images in (("train", 8), ("validation", 0), ("test", 4)):
            assert file[side].attrs["images"] == images
        found = file["test"]
        assert len(found["scores"]) and (found["scores"][:] >= job.settings.predict.score).all()
        assert (np.diff(found["image"][:]) >= 0).all()
        assert found["masks"].shape == (len(found["scores"]), 64, 8)
    speed = Speed.read(tmp_path / "speed.json")
    assert list(speed.images_per_second) == [speed.best_batch] == ["4"]
    assert speed.images == 12 and speed.flops_per_image is None


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def draw(count: int) -> Objects:
        masks = rng.random((count, 5, 11)) < 0.5  # a width that fills no whole bytes
        labels = rng.integers(1, 3, count)
        return Objects(rng.random((count, 4), np.float32), labels, rng.random(count, np.float32), masks)

    drawn = [draw(count) for count in (2, 0, 3)]
    with h5py.File(tmp_path / "detections.h5", "w") as file:
        file.attrs["classes"] = '["background", "one", "two"]'
        write_objects(file.create_group("test"), iter(drawn))
    found: Iterator[Objects] = read_objects(
        tmp_path / "detections.h5", "test", ["background", "one", "two"], len(drawn)
    )
    for before, after in zip(drawn, found, strict=True):
        for name in ("boxes", "labels", "scores", "masks"):
            assert np.array_equal(getattr(before, name), getattr(after, name))


def test_weights_of_another_model_are_refused(job_of: Callable[..., Job], tmp_path: Path) -> None:
    job = job_of()
    write_weights(job)
    path = job.folder / "weights" / "model.json"
    model = Model.read(path)
    model.model_copy(update={"shape": model.shape | {"channels": 16}}).write(path)
    with pytest.raises(Problem, match="holds no weights of this model"):
        predict(job, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("part", "unwanted"), [("predict", "lightning"), ("score", "torch")])
def test_a_stage_imports_no_more_than_it_needs(part: str, unwanted: str) -> None:
    code = f"import sys, pipeline.tasks.detection.{part}; sys.exit({unwanted!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
