"""All stages of a project, side by side here and as jobs of a stand-in for Slurm, leave the same."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks import jobs
from tests.fabricated import ROOT


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--micro"], id="micro", marks=pytest.mark.slow),
        pytest.param([], id="sample", marks=pytest.mark.whole),
    ],
)
def test_a_stand_in_for_slurm_leaves_what_this_machine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for way in ("jobs", "slurm"):
        monkeypatch.setattr(sys, "argv", ["jobs", *words, "--only", way, "--folder", str(tmp_path / "ways")])
        with pytest.raises(SystemExit) as ended:
            jobs.main()
        assert ended.value.code == 0, capfd.readouterr().out
    said = capfd.readouterr().out
    assert said.endswith("differ: nothing\n") and "slurm: " in said
    assert (tmp_path / "ways/stand-in/jobs/1/said").exists()  # that jobs were submitted
    table = next((tmp_path / "ways/slurm/reports").glob("*/scores.csv"))
    table.write_text(table.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    other = table.relative_to(tmp_path / "ways/slurm").as_posix()
    assert jobs.compare({"jobs": 1.0, "slurm": 1.0}, tmp_path / "ways") == [other]
