"""`lobule`: what it says of itself, quickly, and how it ends where something is wrong."""

import subprocess
import sys

import pytest

from pipeline import commands
from tests import fabricated


def lobule(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.commands", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=fabricated.ROOT)


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "pipeline.commands", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=fabricated.ROOT)
    assert all(f"\n    {name} " in done.stdout for name in commands.COMMANDS)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pipeline.base.errors" in imported
    assert not imported & {"torch", "pandas", "numpy", "mlflow", "dvc", "ruamel.yaml"}


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        fabricated.run(commands.main, name, "--help")
    assert stopped.value.code == 0
    assert f"usage: lobule {name}" in capsys.readouterr().out


def test_a_problem_is_one_line_and_exit_code_1() -> None:
    done = lobule("band", "bach/resnet50-augmented", "--seeds", "1", "2", "2")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "lobule: --seeds names 2 and a band needs at least three; name more.\n"


def test_an_unknown_command_is_refused_with_those_there_are() -> None:
    done = lobule("verfy")
    assert done.returncode == 2
    assert "invalid choice: 'verfy'" in done.stderr and "verify" in done.stderr
