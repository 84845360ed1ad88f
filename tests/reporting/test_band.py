"""The band of a training: its width, where it is kept, and when it holds."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.params import read_params
from pipeline.base.study import read_study, study_names
from pipeline.reporting import band
from pipeline.reporting.paper import headline
from tests.fabricated import change

ROOT = Path(__file__).parents[2]
STUDIES = [name for name in study_names(ROOT) if (ROOT / "studies" / name / "paper" / "band.csv").exists()]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The parameters of the project and of its studies, to be changed."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "studies", tmp_path / "studies", ignore=shutil.ignore_patterns("dvc.*"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_band_is_the_prediction_interval_of_one_more_value() -> None:
    found = band.measure("mean_iou", [0.4, 0.5, 0.6])
    assert (found.mean, found.sd, found.seeds) == (pytest.approx(0.5), pytest.approx(0.1), 3)
    assert found.high - found.mean == pytest.approx(4.3027 * 0.1 * np.sqrt(4 / 3), rel=1e-4)  # t(2) of a table
    assert found.holds(0.5) and not found.holds(1.1)


def test_a_new_value_falls_in_the_band_as_often_as_promised() -> None:
    random = np.random.default_rng(0)
    inside = [band.measure("s", values[:5]).holds(values[5]) for values in random.normal(0.5, 0.02, (4000, 6))]
    assert 0.94 < np.mean(inside) < 0.96


def test_the_ends_of_a_band_are_scores() -> None:
    found = band.measure("mean_iou", [0.1, 0.2, 0.9])
    assert (found.low, found.high) == (0, 1)


def test_a_table_of_figures_has_the_band_of_those_that_were_measured() -> None:
    figures = pd.DataFrame({"variant": ["unet", "unet"], "plan": ["plain", "augmented"], "score": "dice", "value": 0.5})
    bands = [{"variant": "unet-augmented", "name": "dice", "band": band.measure("dice", [0.4, 0.5, 0.6])}]
    found = band.beside(figures, bands)
    assert found["band_low"].isna().tolist() == found["band_high"].isna().tolist() == [True, False]
    assert (found["band_low"][1], found["band_high"][1]) == (bands[0]["band"].low, bands[0]["band"].high)
    assert found["value"].tolist() == [0.5, 0.5]
    assert band.beside(figures, [])["band_low"].isna().all()


def test_bands_are_read_for_their_own_variant_and_basis_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert band.read_bands("mine", "unet-plain", "abc") == {}
    for variant, low in (("unet-plain", 0.1), ("unet-augmented", 0.2), ("unet-augmented", 0.3)):
        band.write_bands("mine", variant, "abc", [band.Band("mean_iou", 0.4, 0.01, low, 0.5, 5)])
    assert band.read_bands("mine", "unet-augmented", "abc")["mean_iou"].low == 0.3
    assert band.read_bands("mine", "unet-plain", "abc")["mean_iou"].low == 0.1
    assert band.read_bands("mine", "unet-plain", "other") == {}
    assert band.read_bands("another", "unet-plain", "abc") == {}


def test_the_basis_follows_what_shapes_a_score_and_nothing_else(project: Path) -> None:
    def basis(variant: str = "unet-augmented", data: str = "data", study: str = "bracs") -> str:
        return band.basis(read_params(), read_study(study), variant, [data])

    def changed(path: str, key: str, value: object) -> str:
        kept = (project / path).read_text()
        change(project / path, {key: value})
        found = basis()
        (project / path).write_text(kept)
        return found

    own, found = "studies/bracs/params.yaml", basis()
    assert changed(own, "report.examples", 9) == found
    assert changed(own, "predict.batch", 3) == found
    assert changed(own, "train.workers", 3) == found
    assert changed("params.yaml", "encoder", "vgg19") == found
    assert changed("studies/bcss/params.yaml", "tile_size", 96) == found
    others = [basis(data="other data"), basis("resnet50-augmented"), basis("unet-paper-augmented")]
    others += [basis("resnet50-augmented", study="bach"), changed("params.yaml", "seed", 7)]
    others += [changed(own, "tile_size", 96), changed(own, "train.epochs", 9), changed(own, "predict.flips", True)]
    others += [changed(own, "variants.unet.encoder", "unet-bn")]
    others += [changed("params.yaml", "datasets.bracs.tiling.background", 3.0)]
    assert found not in others and len(set(others)) == len(others)


@pytest.mark.parametrize("study", STUDIES)
def test_the_bands_in_the_project_are_whole(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    labels = headline(read_study(study)).bands
    for _, rows in pd.read_csv(band.band_path(study)).groupby("variant"):
        assert rows["score"].tolist() == list(labels)
        assert (rows["seeds"] >= 3).all() and rows["low"].ge(0).all() and rows["high"].le(1).all()
        assert (rows["low"] < rows["mean"]).all() and (rows["mean"] < rows["high"]).all()


@pytest.mark.parametrize("study", STUDIES)
def test_every_band_fits_its_studys_parameters(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `lobule band` has to measure it again."""
    monkeypatch.chdir(ROOT)
    page = Path("reports", f"{study}.md")  # in git, so that it is there without any run
    data = re.findall(r"^- SHA-256 over the files: `(\w{64})`$", page.read_text(encoding="utf-8"), re.MULTILINE)
    settings = read_study(study)
    assert len(data) == len(settings.datasets)
    variants = pd.read_csv(band.band_path(study))["variant"].unique()
    assert any(band.read_bands(study, each, band.basis(read_params(), settings, each, data)) for each in variants)


def test_every_study_that_rebuilds_a_paper_has_a_band_of_its_headline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert [path.parent.parent.name for path in sorted(Path("studies").glob("*/paper/paper.yaml"))] == STUDIES
    for name in STUDIES:
        paper = headline(read_study(name))
        assert next(iter(paper.bands)) == paper.score
