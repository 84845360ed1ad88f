"""What a command line asks a stage for: its study, its run, and the variant with what the variant changes."""

import sys
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.plans.job import Job, read_job, read_run
from tests import command_line
from tests.tiny_study import job_of, make_tiny_study


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, tiles=2, variants={"wide": {"encoder": "unet", "model": {"width": 16}}})
    monkeypatch.chdir(tmp_path)


def asked(variant: str, study: str = "tiny", plan: str = "plain") -> list[str]:
    return command_line.asked(study, 1, 7, variant, plan)


def ask(monkeypatch: pytest.MonkeyPatch, *words: str) -> Job:
    monkeypatch.setattr(sys, "argv", ["stage", *words])
    return read_job("Train.")


def test_a_run_is_a_study_and_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["stage", "tiny", "--run", "3"])
    found, run = read_run("Split.")
    assert (found.study, run) == ("tiny", 3)


def test_a_job_has_the_settings_of_its_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask(monkeypatch, *asked("wide"))
    assert (job.encoder, job.settings.model.width, job.task) == ("unet", 16, "segmentation")
    assert job.folder == Path("models/tiny/run1/seed7/wide-plain")
    assert job.evaluation == Path("models/tiny/evaluation/run1/seed7/wide-plain")
    assert ask(monkeypatch, *asked("unet")).settings.model.width == 8
    assert ask(monkeypatch, *asked("otsu")).is_baseline and not job.is_baseline


def test_sides_are_those_of_the_split() -> None:
    job = job_of("unet", "plain", 1, 42)
    assert {side: set(job.rows(side)["shard"]) for side in ("train", "validation", "test")} == {
        "train": {"fold1"},
        "validation": {"fold2"},
        "test": {"fold3"},
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [(("tiny", "--run", "one"), "invalid int value"), (asked("unet", plan="twice"), "invalid choice")],
)
def test_a_wrong_command_line_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit):
        ask(monkeypatch, *words)
    assert said in capsys.readouterr().err


def test_an_unknown_study_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match=r"there is no study 'mine' under studies; it holds tiny\."):
        ask(monkeypatch, *asked("unet", study="mine"))
