"""A classifier of tiles is scored by what each tile was called, and by its probabilities."""

import sys

import numpy as np
import pandas as pd
import pytest

from pipeline.base.parquet import read_rows
from pipeline.base.records import Machine, Metrics
from pipeline.metrics import curve
from pipeline.plans.job import Job
from pipeline.reporting.tile_classifier import at_ratio
from pipeline.stages import evaluate
from pipeline.tasks.tiles.score import tile_scores
from pipeline.tiles.plan import TILE
from tests.command_line import asked
from tests.predicted import write_epochs
from tests.tasks.tiles.conftest import SIDES
from tests.trained import MACHINE

CLASSES = ["background", "UDH"]


def test_the_published_scores_are_means_over_both_classes() -> None:
    """From 775 of 1,000 tiles with UDH found, and 869 of 1,000 left alone of the 45 times as many without."""
    with_target, found, without, left = 1000, 775, 45_000, 39_092
    truth = np.repeat([1, 1, 0, 0], [found, with_target - found, left, without - left])
    probability = np.repeat([0.9, 0.1, 0.1, 0.9], [found, with_target - found, left, without - left])
    scores = tile_scores(pd.DataFrame({"truth": truth, "probability": probability}), CLASSES)
    printed = {"precision": 0.5547, "recall": 0.8219, "f1": 0.5639}
    assert scores["accuracy"] == pytest.approx(0.8667, abs=5e-4)
    assert scores["macro"] == pytest.approx(printed, abs=1e-3)
    assert scores["per_class"]["UDH"] == pytest.approx({"precision": 0.116, "recall": 0.775, "f1": 0.202}, abs=1e-3)
    assert at_ratio(found / with_target, left / without, 45) == pytest.approx(scores["per_class"]["UDH"]["precision"])


def test_counts_are_truth_by_what_the_tile_was_called() -> None:
    table = pd.DataFrame({"truth": [0, 0, 1, 1, 1], "probability": [0.2, 0.6, 0.5, 0.51, 1.0]})
    scores = tile_scores(table, CLASSES)
    assert scores["counts"] == [[1, 1], [1, 2]]
    assert scores["tiles"] == 5
    assert at_ratio(0, 1, 45) == 0
    assert scores["average_precision"] == pytest.approx(
        float(curve.average_precision(curve.histogram(table["truth"].to_numpy(), table["probability"].to_numpy())))
    )


def test_a_side_without_the_target_has_scores_that_are_not_defined() -> None:
    scores = tile_scores(pd.DataFrame({"truth": [0, 0], "probability": [0.2, 0.4]}), CLASSES)
    assert scores["accuracy"] == 1
    assert scores["per_class"]["UDH"]["recall"] is None
    assert scores["average_precision"] is None


def test_evaluate_writes_every_tile_and_the_scores_of_both_sides(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    write_epochs(job)
    (job.folder / "predictions").mkdir()
    rows = job.split[[*TILE, "patient", "slide", "split"]].assign(probability=0.9)
    rows.to_csv(job.folder / "predictions/predictions.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["evaluate", *asked("tiny", 1, 42, "sorter", "balanced")])
    evaluate.main()
    found = Metrics.read(job.evaluation / "metrics.json")
    assert (found.variant, found.plan, found.title) == ("sorter", "balanced", "sorter-random-balanced")
    assert list(found.scores) == ["train", "test"]
    assert found.scores["train"]["tiles"] == SIDES["train"]
    assert found.scores["test"]["counts"] == [[0, 2], [0, 2]]
    tiles = read_rows(job.evaluation / "tiles.parquet")
    assert len(tiles) == sum(SIDES.values())
    assert tiles["truth"].tolist() == [index % 2 for index in tiles["index"]]
    assert Machine.read(job.evaluation / "machine.json") == Machine(training=MACHINE, speed=None)
    curves = pd.read_csv(job.evaluation / "curves.csv")
    assert curves.columns[:3].tolist() == ["run", "seed", "epoch"] and len(curves) == 4
