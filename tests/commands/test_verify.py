"""`lobule verify`: what it says of scores that are the same, near, or far, with the training itself made up."""

import argparse
import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.base.study import AnyStudy, read_study
from pipeline.commands import band as command
from pipeline.commands import verify
from pipeline.reporting import band
from pipeline.reporting.paper import headline
from tests import fabricated
from tests.command_line import asked

STUDY = "pannuke"
VARIANT = "unet-augmented"


def run(*words: str) -> None:
    """`lobule verify` with these words, its problems not yet turned into a line."""
    parser = argparse.ArgumentParser()
    verify.add_arguments(parser)
    verify.run(parser.parse_args(words))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a report, and without a band."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fabricated.make_params()
        fabricated.make_tiles("sample")
        fabricated.make_evaluations()
        fabricated.write_report()
        (folder / "pipeline").mkdir()
        band.band_path(STUDY).unlink()
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
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
    scores = pd.read_csv(f"reports/{STUDY}/scores.csv").set_index(["variant", "plan"]).loc[("unet", "augmented")]
    study = read_study(STUDY)
    found = [band.Band(name, 0, 0, scores[name] - half, scores[name] + half, 5) for name in headline(study).bands]
    basis = band.basis(read_params(), study, VARIANT, verify.checksums(study))
    band.write_bands(STUDY, VARIANT, basis, found)


def test_the_same_class_maps_are_identical(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = train_again(monkeypatch, noise=0.1 - 0.04)
    run(f"{STUDY}/{VARIANT}")
    assert ran == [(stage, *asked("pannuke", 1, 42, "unet", "augmented")) for stage in ("train", "predict", "evaluate")]
    assert capsys.readouterr().out.endswith("In all: identical.\n")


def test_other_class_maps_are_within_a_wide_band(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_again(monkeypatch, noise=0.1)
    measure_band(0.5)
    run(f"{STUDY}/{VARIANT}")
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
        run(f"{STUDY}/{VARIANT}")
    assert stopped.value.code == 1
    assert f"In all: {verdict}." in capsys.readouterr().out


def test_a_band_of_other_parameters_does_not_count(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_again(monkeypatch, noise=0.1)
    measure_band(0.5)
    params = Path("studies/pannuke/params.yaml")
    params.write_text(params.read_text().replace("learning_rate: 0.001", "learning_rate: 0.002"))
    with pytest.raises(SystemExit):
        run(f"{STUDY}/{VARIANT}")
    assert "In all: differs, no band measured." in capsys.readouterr().out


def test_an_unknown_variant_is_one_sentence_before_any_training(project: Path) -> None:
    for name in ("densenet121-plain", "otsu-plain", "unet"):
        with pytest.raises(Problem, match=f"has no variant '{name}' to train again; it has resnet50-plain"):
            run(f"{STUDY}/{name}")


def test_a_band_of_an_unknown_variant_is_the_same_sentence(project: Path) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(Problem, match=f"has no variant 'nosuch' to train again; it has .*{VARIANT}"):
        command.run(parser.parse_args([f"{STUDY}/nosuch"]))


def test_a_band_of_more_seeds_is_replaced_only_where_that_is_asked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = headline(read_study(STUDY)).bands

    def trained(study: AnyStudy, name: str, runs: list[int], seeds: list[int]) -> pd.DataFrame:
        return pd.DataFrame({score: [0.5 + seeds[0] / 100] for score in labels} | {"seed": seeds})

    monkeypatch.setattr(command, "train_again", trained)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    measure_band(0.1)  # of five seeds
    path = band.band_path(STUDY)
    before = path.read_bytes()
    with pytest.raises(Problem, match=rf"{path} has a band of 5 seeds; name more, or give --replace"):
        command.run(parser.parse_args([f"{STUDY}/{VARIANT}", "--seeds", "1", "2", "3"]))
    assert path.read_bytes() == before
    command.run(parser.parse_args([f"{STUDY}/{VARIANT}", "--seeds", "1", "2", "3", "--replace"]))
    page = f"docs/results/seed_band_{STUDY}_{VARIANT}.md"
    assert path.read_bytes() != before and Path(page).exists()
    assert f"written: {path}, {page}; `lobule repro {STUDY}`" in capsys.readouterr().out


def test_the_project_is_left_as_it_was(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_again(monkeypatch, noise=0.06)
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    run(f"{STUDY}/{VARIANT}")
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_name_without_a_study_is_one_sentence() -> None:
    with pytest.raises(Problem, match=r"'unet-augmented' names no variant; give STUDY/VARIANT-PLAN"):
        run(VARIANT)


@pytest.mark.parametrize(("seed", "there"), [(42, 42), (43, 42)])
def test_first_weights_that_a_training_wrote_are_lent(
    seed: int, there: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "run_module", lambda *arguments: None)
    weights = "models/bracs/run1/seed{}/tiles-densenet121-balanced/weights/model.safetensors"
    path = tmp_path / "project" / weights.format(there)
    path.parent.mkdir(parents=True)
    path.write_text("first weights")
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    verify.rerun(tmp_path / "copy", read_study("bracs", fabricated.ROOT), "unet-densenet121-augmented", 1, seed)
    assert (tmp_path / "copy" / weights.format(seed)).read_text() == "first weights"


def test_a_stage_that_fails_is_told_with_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipeline/stages").mkdir(parents=True)
    (tmp_path / "pipeline/stages/train.py").write_text("import sys; sys.exit('no such encoder')")
    with pytest.raises(Problem, match=r"`python -m pipeline\.stages\.train pannuke` failed:\nno such encoder"):
        verify.run_module(tmp_path, "train", "pannuke")


def test_a_copy_has_the_code_and_the_data_and_no_models(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    verify.copy_project(copy)
    assert {path.name for path in copy.iterdir()} == {"pipeline", "studies", "params.yaml", "data"}
    assert (copy / "data/tiles/pannuke/fold1.h5").is_file()
