from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline.base.params import read_params
from pipeline.base.study import DetectionStudy, read_study
from pipeline.plans.job import Job
from pipeline.tasks.detection import report
from pipeline.tasks.detection.score import score
from tests.tasks.detection.project import ROOT, write_detections, write_trained

CALLED = {1: {"train": [1, 1, 2, 2, 3, 3, 4, 4], "test": [1, 2, 4, 0]}}  # by seed
CALLED[2] = CALLED[1] | {"test": [1, 2, 3, 4]}


@pytest.fixture
def page(job_of: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> str:
    """The report of a detector with two seeds and of both baselines."""
    monkeypatch.setattr(report, "track", lambda *_: None)
    for seed, called in CALLED.items():
        job = job_of(seed=seed)
        write_detections(job.folder / "predictions" / "detections.h5", called)
        write_trained(job)
        job.evaluation.mkdir(parents=True)
        score(job, job.evaluation)
    for name in ("constant", "colour"):
        job = job_of(name, "plain")
        job.evaluation.mkdir(parents=True)
        score(job, job.evaluation)
    report.write(read_study("bach"), read_params(ROOT / "params.yaml"))
    return Path("reports/bach.md").read_text(encoding="utf-8")


def test_tables_have_a_row_for_each_training_and_each_figure(page: str) -> None:
    scores = pd.read_csv("reports/bach/scores.csv")
    named = scores[["variant", "plan", "run", "seed"]].apply(tuple, axis=1).tolist()
    assert named == [
        ("resnet18", "augmented", 1, 1),
        ("resnet18", "augmented", 1, 2),
        ("constant", "plain", 1, 1),
        ("colour", "plain", 1, 1),
    ]
    assert scores["accuracy"].tolist() == [0.5, 1, 0.25, 1]
    intervals = pd.read_csv("reports/bach/intervals.csv").set_index(["variant", "score"])
    assert intervals.loc[("resnet18", "accuracy"), "value"] == 0.75
    assert intervals.loc[("resnet18", "train_accuracy"), "value"] == 1
    assert ("colour", "ap50") not in intervals.index
    votes = pd.read_csv("reports/bach/votes.csv", keep_default_na=False)
    for (variant, seed), rows in votes[votes["split"] == "test"].groupby(["variant", "seed"]):
        printed = scores[(scores["variant"] == variant) & (scores["seed"] == seed)]["accuracy"].item()
        assert (rows["truth"] == rows["call"]).mean() == printed


def test_the_page_prints_what_was_measured(page: str) -> None:
    assert "each model was trained 2 times" in page
    assert "0.965" not in page  # the paper has no resnet18
    assert "| published: DEGN | 0.960 | 0.920 | 0.930 | 0.930 |" in page
    assert "| normal, n = 1 | benign, n = 1 |" in page
    assert "| n/a | n/a | n/a | n/a |" in page and "| *nothing found* | 0.000 |" in page  # too few nuclei for a score
    assert "*always the commonest class*" in page and "Synthetic tiles" in page
    assert "- Licence: none: drawn tiles." in page


def test_pictures_are_drawn(page: str) -> None:
    for picture in ("roc", "confusion", "losses", "detections"):
        with Image.open(f"reports/bach/{picture}.png") as image:
            assert min(image.size) > 100


def test_a_study_without_baselines_has_a_page(page: str) -> None:
    assert "- Without any detector: " in page
    study = read_study("bach").model_copy(update={"baselines": []})
    assert isinstance(study, DetectionStudy)
    report.write(study, read_params(ROOT / "params.yaml"))
    alone = Path("reports/bach.md").read_text(encoding="utf-8")
    assert "Without any detector" not in alone and "## In short" in alone
