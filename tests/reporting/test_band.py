"""The band of a training: its width, where it is kept, and when it holds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.params import read_params
from pipeline.reporting import band

ROOT = Path(__file__).parents[2]


def test_the_band_is_the_prediction_interval_of_one_more_value() -> None:
    found = band.measure("mean_iou", [0.4, 0.5, 0.6])
    assert (found.mean, found.sd, found.seeds) == (pytest.approx(0.5), pytest.approx(0.1), 3)
    assert found.high - found.mean == pytest.approx(4.3027 * 0.1 * np.sqrt(4 / 3), rel=1e-4)  # t(2) of a table
    assert found.holds(0.5) and not found.holds(1.1)


def test_a_new_value_falls_in_the_band_as_often_as_promised() -> None:
    random = np.random.default_rng(0)
    inside = [band.measure("s", values[:5]).holds(values[5]) for values in random.normal(0.5, 0.02, (4000, 6))]
    assert 0.94 < np.mean(inside) < 0.96


def test_bands_are_read_for_their_own_variant_and_basis_alone(tmp_path: Path) -> None:
    path = tmp_path / "band.csv"
    for variant, low in (("unet-plain", 0.1), ("unet-augmented", 0.2), ("unet-augmented", 0.3)):
        band.write_bands("pannuke", variant, "abc", [band.Band("mean_iou", 0.4, 0.01, low, 0.5, 5)], path)
    assert band.read_bands("pannuke", "unet-augmented", "abc", path)["mean_iou"].low == 0.3
    assert band.read_bands("pannuke", "unet-plain", "abc", path)["mean_iou"].low == 0.1
    assert band.read_bands("pannuke", "unet-plain", "other", path) == {}


def test_the_basis_follows_what_shapes_a_score_and_nothing_else() -> None:
    study = read_params(ROOT / "params.yaml").pannuke
    found = band.basis(study, "data")
    assert found == band.basis(
        study.model_copy(update={"report": study.report.model_copy(update={"examples": 9})}), "data"
    )
    assert found != band.basis(study, "other data")
    assert found != band.basis(study.model_copy(update={"tile_size": 96}), "data")


def test_the_bands_in_the_project_are_whole() -> None:
    table = pd.read_csv(band.BAND)
    assert "unet-augmented" in set(table["variant"])
    for _, rows in table.groupby(["study", "variant"]):
        assert set(rows["score"]) <= set(band.SCORES) and rows["score"].is_unique
        assert (rows["seeds"] >= 3).all() and (rows["low"] < rows["mean"]).all() and (rows["mean"] < rows["high"]).all()
