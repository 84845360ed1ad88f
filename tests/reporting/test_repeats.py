"""Medians, ranges, losses, bands and speeds of repeated trainings, by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.reporting import repeats
from pipeline.reporting.headlines import HEADLINES
from pipeline.reporting.published import Published
from pipeline.reporting.results import Variant

SEEDS = (42, 43, 44)


def variant(encoder: str, losses: tuple[float, ...], rates: tuple[float, ...] = (10, 30, 20)) -> Variant:
    """A variant trained with three seeds, two epochs each, that ends at these losses; a baseline without any."""
    rows = [(1, seed, epoch, loss + 2 - epoch) for seed, loss in zip(SEEDS, losses, strict=False) for epoch in (1, 2)]
    curves = pd.DataFrame(rows, columns=["run", "seed", "epoch", "train_loss"])
    speeds = [{"device": "d", "images_per_second": {"1": rate, "16": 4 * rate}} for rate in rates]
    machine = [{"speed": speed if losses else None} for speed in speeds]
    record = {"runs": [{"run": 1, "seed": seed} for seed in SEEDS]}
    return Variant(encoder, "augmented", Path(), record, machine, curves, pd.DataFrame(), pd.DataFrame())


VARIANTS = [variant("unet-bn", (0.5, 0.3, 0.4)), variant("otsu", ())]
ROWS = [{"model": "Modified U-Net", "baseline": False}, {"model": "Otsu", "baseline": True}]


def test_median_and_range_leave_out_what_is_not_known() -> None:
    assert repeats.spread(np.array([0.3, np.nan, 0.1, 0.6])) == repeats.Spread(0.3, 0.1, 0.6)
    assert np.isnan(repeats.spread(np.array([np.nan])).median)
    first, second = repeats.spreads({"a": np.array([[1.0, 3.0], [2.0, 2.0]])})
    assert (first["a"].median, first["a"].low, second["a"].high) == (2, 1, 2)


def test_the_loss_is_that_of_the_last_epoch_beside_the_papers() -> None:
    (row,) = repeats.losses(VARIANTS, ROWS, HEADLINES["tnbc"], Published.of("tnbc"))
    assert (row["loss"].median, row["loss"].low, row["loss"].high) == pytest.approx((0.4, 0.3, 0.5))
    assert row["published_loss"] == {"train": 0.448, "validation": 0.486}


def test_a_band_needs_three_seeds() -> None:
    scores = {"jaccard": np.array([[0.4, 0.5, 0.6], [0.1, 0.1, 0.1]])}
    (row,) = repeats.bands(VARIANTS, ROWS, scores, "jaccard")
    assert row["range"] == pytest.approx(0.2) and row["values"] == [0.4, 0.5, 0.6]
    assert row["band"].sd == pytest.approx(0.1) and row["band"].high - 0.5 == pytest.approx(
        0.1 * 4.3027 * 2 / 3**0.5, 1e-4
    )
    twice = VARIANTS[0].record["runs"][:2]
    two = Variant(**{**VARIANTS[0].__dict__, "record": {"runs": twice}})
    assert repeats.bands([two], ROWS[:1], scores | {"jaccard": scores["jaccard"][:1]}, "jaccard") == []


def test_speed_is_the_median_over_trainings() -> None:
    assert repeats.speeds(VARIANTS) == [{"device": "d", "one": 20, "best": 80, "batch": "16"}, None]
