"""A full disk or a missing right is never called a damaged file, and a stage ends in one line."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import tifffile

from pipeline.base.errors import MACHINE, Problem, machine_problem, run_stage
from pipeline.datasets.pannuke.npy import Npy
from pipeline.slides.tiff import check_whole


def failing(number: int, name: str = "data/a.bin") -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number), name)

    return fail


@pytest.mark.parametrize("number", MACHINE)
def test_what_is_the_machines_fault_is_told_with_its_cure(number: int) -> None:
    problem = machine_problem("data/a.bin", OSError(number, os.strerror(number)))
    assert str(problem) == f"data/a.bin {MACHINE[number]}." and ";" in str(problem)


def test_other_errors_are_not() -> None:
    for error in (OSError("truncated"), FileNotFoundError(errno.ENOENT, "No such file"), ValueError("no number")):
        assert machine_problem("a", error) is None
    assert "needs more memory than is free" in str(machine_problem("a", MemoryError()))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
def test_a_stage_ends_in_one_line(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_stage(failing(number))
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"lobule: data/a.bin {MACHINE[number]}.\n"


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        run_stage(failing(errno.ENOENT))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_readers_tell_what_happened(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(b"x")
    monkeypatch.setattr(tifffile, "TiffFile", failing(number))
    monkeypatch.setattr(Path, "open", failing(number))
    for read in (lambda: check_whole(path, "get it again"), lambda: Npy(path).header):
        with pytest.raises(Problem) as problem:
            read()
        assert str(problem.value) == f"{path} {MACHINE[number]}."
