"""The band of a training: its width, where it is kept, and when it holds."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pipeline.reporting.headlines import HEADLINES

from pipeline.base.params import parse_params, read_params
from pipeline.reporting import band

ROOT = Path(__file__).parents[2]
PARAMS = read_params(ROOT / "params.yaml")


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


def test_the_ends_of_a_band_are_scores() -> None:
    found = band.measure("mean_iou", [0.1, 0.2, 0.9])
    assert (found.low, found.high) == (0, 1)


def test_the_basis_follows_what_shapes_a_score_and_nothing_else() -> None:
    def of(variant: str = "unet-augmented", data: str = "data", study: str = "bracs", **changes: object) -> str:
        changed = apply_changes(PARAMS.model_dump(), changes)
        return band.basis(parse_params(changed), study, variant, [data])

    found = of()
    for change in (
        {"bracs.report.examples": 9},
        {"bracs.predict.batch": 3},
        {"encoder": "vgg19"},
        {"bcss.tile_size": 96},
    ):
        assert of(**change) == found, change
    for change in (
        {"data": "other data"},
        {"variant": "resnet50-augmented"},
        {"variant": "unet-paper-augmented"},
        {"study": "bach"},
        {"seed": 7},
        {"bracs.tile_size": 96},
        {"bracs.train.epochs": 9},
        {"bracs.predict.flips": True},
        {"bracs.variants.unet.encoder": "unet-bn"},
        {"datasets.bracs.tiling.background": 3.0},
    ):
        assert of(**change) != found, change


def apply_changes(raw: dict[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """Parameters with dotted keys put into them."""
    for key, value in changes.items():
        *blocks, last = key.split(".")
        block = raw
        for name in blocks:
            block = block[name]
        assert last in block
        block[last] = value
    return raw


def test_the_bands_in_the_project_are_whole() -> None:
    table = pd.read_csv(band.BAND)
    for (study, _), rows in table.groupby(["study", "variant"]):
        assert rows["score"].tolist() == list(band.SCORES[study])
        assert (rows["seeds"] >= 3).all() and rows["low"].ge(0).all() and rows["high"].le(1).all()
        assert (rows["low"] < rows["mean"]).all() and (rows["mean"] < rows["high"]).all()


@pytest.mark.parametrize("study", PARAMS.studies())
def test_every_study_has_a_band_that_fits_its_parameters(study: str) -> None:
    """Else `lobule band` has to measure it again."""
    page = ROOT / "reports" / f"{study}.md"  # in git, so that it is there without any run
    data = re.findall(r"^- SHA-256 over the files: `(\w{64})`$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(data) == len(PARAMS.study(study).datasets)
    table = pd.read_csv(band.BAND)
    variants = table[table["study"] == study]["variant"].unique()
    assert any(band.read_bands(study, each, band.basis(PARAMS, study, each, data)) for each in variants)


def test_the_headline_of_every_study_has_a_band() -> None:
    for study, headline in HEADLINES.items():
        assert headline.score == next(iter(band.SCORES[study]))
