"""`lobule repro` and `lobule prune`, driven on a small DVC project of two studies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.commands import prune, repro
from tests.fabricated import ROOT

pytestmark = pytest.mark.slow

ROOT_YAML = """
stages:
  convert: {cmd: echo tiles > tiles, outs: [tiles]}
  summary: {cmd: cat a.md b.md > README.md, deps: [a.md, b.md], outs: [README.md]}
"""
STUDY_YAML = """
stages:
  report:
    wdir: ../..
    cmd: cat tiles text-NAME > NAME.md
    deps: [tiles, text-NAME]
    outs: [NAME.md]
  extra: {wdir: ../.., cmd: echo extra > NAME.extra, outs: [NAME.extra]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(ROOT_YAML)
    for name in ("a", "b"):
        (tmp_path / "studies" / name).mkdir(parents=True)
        (tmp_path / "studies" / name / "dvc.yaml").write_text(STUDY_YAML.replace("NAME", name))
        (tmp_path / f"text-{name}").write_text(f"{name}\n")
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, check=True)
    return tmp_path


def lobule(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.commands", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_studies_run_side_by_side_and_a_second_time_nothing_does(project: Path) -> None:
    done = lobule("repro", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert (project / "README.md").read_text() == "tiles\na\ntiles\nb\n"
    again = lobule("repro")
    assert again.returncode == 0
    assert again.stdout == "Everything is up to date.\n"


def test_one_study_is_brought_up_to_date_with_its_data(project: Path) -> None:
    assert lobule("repro", "b").returncode == 0
    assert (project / "b.md").exists() and not (project / "a.md").exists()
    with pytest.raises(Problem, match=r"studies has no study named 'c'; it has a, b\."):
        repro.chosen(["c"])


def test_a_study_that_fails_stops_no_other_and_is_told(project: Path) -> None:
    yaml = project / "studies/a/dvc.yaml"
    yaml.write_text(yaml.read_text().replace("cat tiles", "false && cat tiles"))
    done = lobule("repro")
    assert done.returncode == 1
    assert done.stderr.endswith("lobule: studies/a/dvc.yaml failed, as said above; mend it and run it again.\n")
    assert (project / "b.md").exists() and not (project / "README.md").exists()


def test_stages_that_have_left_leave_the_locks_and_the_others_stay_as_they_were(project: Path) -> None:
    assert lobule("repro").returncode == 0
    locks = {name: project / "studies" / name / "dvc.lock" for name in ("a", "b")}
    before = {name: path.read_text() for name, path in locks.items()}
    assert prune.prune() == {}
    yaml = project / "studies/a/dvc.yaml"
    yaml.write_text(yaml.read_text()[: yaml.read_text().index("  extra")])
    assert prune.prune() == {"studies/a/dvc.lock": ["extra"]}
    assert locks["b"].read_text() == before["b"]
    assert "extra" not in locks["a"].read_text() and "report" in locks["a"].read_text()
    assert lobule("repro").stdout == "Everything is up to date.\n"
