"""Medians, ranges, losses, bands and speeds of repeated trainings, by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.records import Machine, Metrics, Speed
from pipeline.reporting import repeats
from pipeline.reporting.paper import read_paper
from pipeline.reporting.published import Published
from pipeline.reporting.results import Variant

SEEDS = (42, 43, 44)


def variant(encoder: str, losses: tuple[float, ...], rates: tuple[float, ...] = (10, 30, 20)) -> Variant:
    """A variant trained with three seeds, two epochs each, that ends at these losses; a baseline without any."""
    rows = [(1, seed, epoch, loss + 2 - epoch) for seed, loss in zip(SEEDS, losses, strict=False) for epoch in (1, 2)]
    curves = pd.DataFrame(rows, columns=["run", "seed", "epoch", "train_loss"])
    measured = {"device": "d", "parameters": 1, "flops_per_image": 1, "best_batch": "16", "images": 1, "seconds": 1}
    speeds = [Speed(images_per_second={"1": rate, "16": 4 * rate}, **measured) for rate in rates]
    machines = [Machine(training=None, speed=speed if losses else None) for speed in speeds]
    runs = [record(encoder, seed) for seed in SEEDS]
    none = pd.DataFrame()
    return Variant(encoder, "augmented", not losses, runs, machines, [], curves, none, none)


def record(name: str, seed: int) -> Metrics:
    untrained = dict.fromkeys(Metrics.model_fields.keys() - {"format", "variant", "plan", "run", "seed", "scores"})
    return Metrics(variant=name, plan="augmented", run=1, seed=seed, scores={}, **untrained)


VARIANTS = [variant("unet-bn", (0.5, 0.3, 0.4)), variant("otsu", ())]
ROWS = [{"model": "Modified U-Net", "baseline": False}, {"model": "Otsu", "baseline": True}]


def test_median_and_range_leave_out_what_is_not_known() -> None:
    assert repeats.spread(np.array([0.3, np.nan, 0.1, 0.6])) == repeats.Spread(0.3, 0.1, 0.6)
    assert np.isnan(repeats.spread(np.array([np.nan])).median)
    first, second = repeats.spreads({"a": np.array([[1.0, 3.0], [2.0, 2.0]])})
    assert (first["a"].median, first["a"].low, second["a"].high) == (2, 1, 2)


def test_the_loss_is_that_of_the_last_epoch_beside_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    (row,) = repeats.losses(VARIANTS, ROWS, read_paper("tnbc"), Published.of("tnbc"))
    assert (row["loss"].median, row["loss"].low, row["loss"].high) == pytest.approx((0.4, 0.3, 0.5))
    assert row["published_loss"] == {"train": 0.448, "validation": 0.486}


def test_a_band_needs_three_seeds() -> None:
    scores = {"jaccard": np.array([[0.4, 0.5, 0.6], [0.1, 0.1, 0.1]])}
    (row,) = repeats.bands(VARIANTS, ROWS, scores, "jaccard")
    assert row["range"] == pytest.approx(0.2) and row["values"] == [0.4, 0.5, 0.6]
    assert row["band"].sd == pytest.approx(0.1) and row["band"].high - 0.5 == pytest.approx(
        0.1 * 4.3027 * 2 / 3**0.5, 1e-4
    )
    two = replace(VARIANTS[0], runs=VARIANTS[0].runs[:2])
    assert repeats.bands([two], ROWS[:1], scores | {"jaccard": scores["jaccard"][:1]}, "jaccard") == []


def test_speed_is_the_median_over_trainings() -> None:
    assert repeats.speeds(VARIANTS) == [{"device": "d", "one": 20, "best": 80, "batch": "16"}, None]
