from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.base.parquet import read_rows
from pipeline.base.records import Machine, Metrics
from pipeline.plans.job import Job
from pipeline.tasks.detection.score import overlaps, score, true_classes
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import Shard
from tests.tasks.detection.project import CLASSES, write_detections, write_trained

NAMES = list(CLASSES[1:])
CALLED = {"train": [1, 1, 2, 2, 3, 3, 4, 4], "test": [1, 2, 4, 0]}  # in situ called invasive, invasive not at all


def scored(job: Job) -> Path:
    """The evaluation folder of a job."""
    job.evaluation.mkdir(parents=True)
    score(job, job.evaluation)
    return job.evaluation


def detector(job: Job) -> Path:
    """The evaluation folder of a detector that finds the first nucleus of each image, and calls it `CALLED`."""
    write_detections(job.folder / "predictions" / "detections.h5", CALLED)
    write_trained(job)
    return scored(job)


def test_images_are_called_what_their_detections_vote_for(job_of: Callable[..., Job]) -> None:
    folder = detector(job_of())
    votes = read_rows(folder / "votes.parquet")
    held_out = votes[votes["split"] == "test"]
    assert held_out["truth"].tolist() == NAMES
    assert held_out["call"].tolist() == ["normal", "benign", "invasive", "no call"]
    assert held_out["detections"].tolist() == [1, 1, 1, 0]
    assert held_out["nuclei"].tolist() == [4] * 4
    assert held_out[[f"nuclei_{name}" for name in NAMES]].to_numpy().tolist() == (4 * np.eye(4)).tolist()
    assert held_out["vote_normal"].tolist() == [pytest.approx(0.9), 0, 0, 0]
    assert set(votes["run"]) == {1} and set(votes["seed"]) == {1}


def test_scores_of_each_side_are_written_without_intervals(job_of: Callable[..., Job]) -> None:
    folder = detector(job_of())
    metrics = Metrics.read(folder / "metrics.json")
    assert (metrics.variant, metrics.plan, metrics.run, metrics.seed) == ("resnet18", "augmented", 1, 1)
    assert metrics.parameters == 10 and metrics.title == "resnet18-random-augmented"
    assert set(metrics.scores) == {"train", "test"}
    assert metrics.scores["train"]["scores"]["accuracy"] == 1
    test = metrics.scores["test"]
    assert test["images"] == 4
    assert test["confusion"] == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
    assert test["scores"]["accuracy"] == 0.5 and test["scores"]["no_call"] == 0.25
    assert test["scores"]["ap50_normal"] == pytest.approx(26 / 101)  # one nucleus of four, and nothing wrong
    assert test["scores"]["ap50_in_situ"] == 0
    assert Machine.read(folder / "machine.json").training is not None


def test_detections_and_what_pictures_show_are_kept(job_of: Callable[..., Job]) -> None:
    folder = detector(job_of())
    detections = read_rows(folder / "detections.parquet")
    held_out = detections[detections["split"] == "test"]
    assert held_out[["image", "label"]].to_numpy().tolist() == [[0, 0], [1, 1], [2, 3]]
    assert held_out["right_50"].tolist() == held_out["right_95"].tolist() == [1, 1, 0]
    with h5py.File(folder / "shown.h5") as file:
        assert sorted(file) == ["0", "1", "2", "3"]  # the first test image of each class
        assert file["2/labels"][:].tolist() == [4] and file["2/masks"].shape == (1, 64, 64)
        assert len(file["3/labels"]) == 0


def test_baselines_need_no_predictions_and_detect_nothing(job_of: Callable[..., Job]) -> None:
    accuracy = {}
    for name in ("constant", "colour"):
        folder = scored(job_of(name, "plain"))
        assert sorted(path.name for path in folder.iterdir()) == ["machine.json", "metrics.json", "votes.parquet"]
        metrics = Metrics.read(folder / "metrics.json")
        assert metrics.weights is None and metrics.weights_sha256 is None
        assert Machine.read(folder / "machine.json").speed is None
        assert "ap50" not in metrics.scores["test"]["scores"]
        accuracy[name] = metrics.scores["test"]["scores"]["accuracy"]
    assert accuracy == {"constant": 0.25, "colour": 1}


def test_detections_of_another_plan_or_other_classes_are_refused(job_of: Callable[..., Job]) -> None:
    job = job_of()
    path = job.folder / "predictions" / "detections.h5"
    with pytest.raises(Problem, match=r"detections\.h5 is missing"):
        scored(job)
    write_detections(path, CALLED, ("background", "other"))
    with pytest.raises(Problem, match="another plan or other classes"):
        score(job, job.evaluation)
    write_detections(path, {side: called[1:] for side, called in CALLED.items()})
    with pytest.raises(Problem, match="another plan or other classes"):
        score(job, job.evaluation)


def test_a_group_is_the_class_of_its_letters(job_of: Callable[..., Job]) -> None:
    job = job_of()
    examples = Examples.of(job.rows("test"), job.settings)
    assert true_classes(examples, NAMES).tolist() == [0, 1, 2, 3]
    with pytest.raises(Problem, match=r"benign\.h5 calls an image Benign, which is none of normal, in_situ, invasive"):
        true_classes(examples, ["normal", "in_situ", "invasive"])


def test_classes_of_images_are_read_once_a_shard(job_of: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    job, read, table = job_of(), Counter[str](), Shard.table

    def count(shard: Shard) -> pd.DataFrame:
        read[shard.path.stem] += 1
        return table(shard)

    monkeypatch.setattr(Shard, "table", count)
    true_classes(Examples.of(job.rows("train"), job.settings), NAMES)
    assert read == {"normal": 1, "benign": 1, "insitu": 1, "invasive": 1}


@given(st.integers(0, 4), st.integers(0, 1000))
def test_overlaps_are_the_iou_of_masks(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    instance_map = rng.integers(0, 4, (6, 7)).astype(np.int32)
    masks = rng.random((count, 6, 7)) < 0.5
    ids = np.unique(instance_map[instance_map > 0])
    found = overlaps(masks, instance_map, ids)
    assert found.shape == (count, len(ids))
    for row, mask in zip(found, masks, strict=True):
        for value, number in zip(row, ids, strict=True):
            truth = instance_map == number
            assert value == (mask & truth).sum() / (mask | truth).sum()
