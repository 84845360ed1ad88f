"""`make verify`: what it says of scores that are the same, near, or far, with the training itself made up."""

import argparse
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.commands import verify
from pipeline.reporting import band
from pipeline.stages import report
from tests import fabricated

VARIANT = "unet-augmented"


def run(*words: str) -> None:
    """`lobule verify` with these words, its problems not yet turned into a line."""
    parser = argparse.ArgumentParser()
    verify.add_arguments(parser)
    verify.run(parser.parse_args(words))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a report, and a band in which its scores lie."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(report, "draw_figures", lambda *arguments: None)
        fabricated.make_params()
        fabricated.make_tiles("sample")
        fabricated.make_evaluations()
        fabricated.run(report.main, "pannuke", *fabricated.ENCODERS)
        (folder / "pipeline").mkdir()
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(band.read_bands, "__defaults__", (folder / "band.csv",))
    (folder / "band.csv").write_text("study,variant,score,mean,sd,low,high,seeds,basis\n")
    return folder


def train_again(monkeypatch: pytest.MonkeyPatch, noise: float) -> list[tuple[str, ...]]:
    """Let a training, instead of training, give class maps that are wrong in a share `noise` of their blocks."""
    ran: list[tuple[str, ...]] = []

    def run_module(folder: Path, stage: str, *arguments: str) -> None:
        ran.append((stage, *arguments))
        if stage == "evaluate":
            with monkeypatch.context() as patch:
                patch.chdir(folder)
                fabricated.make_evaluation("unet", "augmented", noise)

    monkeypatch.setattr(verify, "run_module", run_module)
    return ran


def measure_band(half: float) -> None:
    """A band of `half` on either side of the reported scores."""
    scores = pd.read_csv("reports/pannuke/scores.csv").set_index(["encoder", "augmentation"]).loc[("unet", "augmented")]
    found = [band.Band(name, 0, 0, scores[name] - half, scores[name] + half, 5) for name in band.SCORES["pannuke"]]
    basis = band.basis(read_params(), "pannuke", VARIANT, verify.checksums("pannuke"))
    band.write_bands("pannuke", VARIANT, basis, found, Path("band.csv"))


def test_the_same_class_maps_are_identical(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = train_again(monkeypatch, noise=0.1 - 0.04)
    run(VARIANT)
    assert ran == [
        ("train", "pannuke", "1", "unet", "augmented", "--seed", "42"),
        ("predict", "pannuke", "1", "unet", "augmented", "--seed", "42"),
        ("evaluate", "pannuke", "unet", "augmented"),
    ]
    assert capsys.readouterr().out.endswith("In all: identical.\n")


def test_other_class_maps_are_within_a_wide_band(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_again(monkeypatch, noise=0.1)
    measure_band(0.5)
    run(VARIANT)
    assert "In all: within the band." in capsys.readouterr().out


@pytest.mark.parametrize(("half", "verdict"), [(0.001, "outside the band"), (None, "differs, no band measured")])
def test_what_is_outside_or_has_no_band_fails(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    half: float | None,
    verdict: str,
) -> None:
    train_again(monkeypatch, noise=0.3)
    if half:
        measure_band(half)
    with pytest.raises(SystemExit) as stopped:
        run(VARIANT)
    assert stopped.value.code == 1
    assert f"In all: {verdict}." in capsys.readouterr().out


def test_a_band_of_other_parameters_does_not_count(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_again(monkeypatch, noise=0.1)
    measure_band(0.5)
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("learning_rate: 0.001", "learning_rate: 0.002"))
    with pytest.raises(SystemExit):
        run(VARIANT)
    assert "In all: differs, no band measured." in capsys.readouterr().out


def test_an_unknown_variant_is_one_sentence_before_any_training(project: Path) -> None:
    for name in ("densenet121-plain", "otsu-plain", "unet"):
        with pytest.raises(Problem, match=f"has no variant '{name}' to train again; it has unet-plain"):
            run(name)


def test_the_project_is_left_as_it_was(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_again(monkeypatch, noise=0.06)
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    run(VARIANT)
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_detector_has_stages_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(verify, "run_module", lambda folder, *arguments: ran.append(arguments))
    shutil.copy(fabricated.ROOT / "params.yaml", tmp_path)
    verify.rerun(tmp_path, "bach", "resnet50-augmented", [(1, 42)])
    assert ran == [
        ("train_detector", "bach", "1", "resnet50", "augmented", "--seed", "42"),
        ("predict_detector", "bach", "1", "resnet50", "augmented", "--seed", "42"),
        ("evaluate_detector", "bach", "resnet50", "augmented"),
    ]


def test_first_weights_that_a_stage_wrote_are_lent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "run_module", lambda *arguments: None)
    weights = Path("models/bracs/classifier/weights/model.safetensors")
    (tmp_path / "project" / weights).parent.mkdir(parents=True)
    (tmp_path / "project" / weights).write_text("first weights")
    (tmp_path / "copy").mkdir()
    shutil.copy(fabricated.ROOT / "params.yaml", tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "project")
    verify.rerun(tmp_path / "copy", "bracs", "unet-densenet121-augmented", [(1, 42)])
    assert (tmp_path / "copy" / weights).read_text() == "first weights"


def test_a_stage_that_fails_is_told_with_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipeline/stages").mkdir(parents=True)
    (tmp_path / "pipeline/stages/train.py").write_text("import sys; sys.exit('no such encoder')")
    with pytest.raises(Problem, match=r"`python -m pipeline\.stages\.train pannuke` failed:\nno such encoder"):
        verify.run_module(tmp_path, "train", "pannuke")


def test_a_copy_has_the_code_and_the_data_and_no_models(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    verify.copy_project(copy)
    assert {path.name for path in copy.iterdir()} == {"pipeline", "params.yaml", "data"}
    assert json.loads((copy / "data/raw/pannuke/SOURCE.json").read_text())["sha256"] == "c0ffee"
