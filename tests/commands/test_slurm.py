"""`lobule repro --cluster`: the script and the configuration of the documentation, run by a stand-in for Slurm."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.commands import project
from tests.commands.beside import State, dvc, lobule, said, state
from tests.commands.slurm import Slurm, documented

pytestmark = pytest.mark.slow
LIMIT = 900.0  # seconds for what takes some


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    slurm = Slurm(tmp_path / "slurm")
    yield slurm
    slurm.end()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """A project of one study, and what an undisturbed `dvc repro` makes of a copy."""
    folder = tmp_path_factory.mktemp("whole")
    project.make(folder, ["first"])
    path = folder / "studies/first/dvc.yaml"
    path.write_text(
        path.read_text().replace("cp data-bright", "echo >> begun; until [ -e go ]; do sleep 0.1; done; cp data-bright")
    )
    copy = tmp_path_factory.mktemp("copy") / "project"
    shutil.copytree(folder, copy)
    (copy / "go").touch()
    dvc(copy, "repro", "--all-pipelines")
    return folder, made(copy)


@pytest.fixture
def folder(whole: tuple[Path, State], tmp_path: Path) -> Path:
    """The project, of which nothing is made; its trainings wait for the file `go`."""
    return Path(shutil.copytree(whole[0], tmp_path / "project"))


def made(folder: Path) -> State:
    """What the stages made."""
    outs, locks = state(folder)
    return {name: digest for name, digest in outs.items() if name not in {"go", "begun"} and name[:5] != ".venv"}, locks


def until(true: Callable[[], object], or_said: Callable[[], str]) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, or_said()
        time.sleep(0.1)


def begun(folder: Path) -> int:
    """How many trainings have begun."""
    return len((folder / "begun").read_text()) if (folder / "begun").exists() else 0


def test_the_script_of_the_documentation_makes_all(folder: Path, whole: tuple[Path, State], slurm: Slurm) -> None:
    script = documented("sh")
    assert "--jobs 8" in script
    (folder.parent / "lobule.sh").write_text(script.replace("--jobs 8", "--jobs 2"))
    (folder / ".venv/bin").mkdir(parents=True)
    program = folder / ".venv/bin/lobule"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(project.ROOT)!r})\n"
        "from pipeline.commands import main\nmain()\n"
    )
    program.chmod(0o755)
    (folder / "go").touch()
    subprocess.run(["sbatch", "../lobule.sh"], cwd=folder, env=slurm.environment, check=True)
    until(lambda: not slurm.processes(), slurm.said)
    assert made(folder) == whole[1], slurm.said()
    assert "up to date" in dvc(folder, "status")
    assert len(list(slurm.jobs.iterdir())) >= 3  # its own and those that it asked for
    assert not list((folder / ".dvc/tmp").glob(".dask-jobqueue*"))  # the certificates are gone


@pytest.mark.parametrize("words", [None, "Batch job submission failed: Invalid partition name specified"])
def test_a_queue_that_takes_no_job_is_one_sentence(folder: Path, slurm: Slurm, words: str | None) -> None:
    programs = Path(slurm.environment["PATH"].split(os.pathsep)[0])
    if words is None:
        (programs / "sbatch").unlink()
    else:
        (programs / "sbatch").write_text(f"#!/bin/sh\necho 'sbatch: error: {words}' >&2\nexit 1\n")
    with lobule(folder, "repro", "--cluster", "slurm", "--jobs", "2", env=slurm.environment) as process:
        assert process.wait(LIMIT) == 1
    *before, last = said(folder).splitlines()
    told = "there is no sbatch on this machine's PATH" if words is None else f"sbatch: error: {words}"
    assert last == (
        f"lobule: --cluster slurm takes no job: {told}; mend its section in ~/.config/dask/jobqueue.yaml,"
        " or give another one."
    )
    assert set(before) <= {"Waiting for the first worker."}


def test_a_lost_worker_costs_its_stage_a_second_beginning(
    folder: Path, whole: tuple[Path, State], slurm: Slurm
) -> None:
    one_stage_a_job = slurm.environment | {"OMP_NUM_THREADS": "4"}  # of the four cores that the page gives to a job
    with lobule(folder, "repro", "--cluster", "slurm", "--jobs", "2", env=one_stage_a_job) as process:
        until(lambda: begun(folder) == 2, lambda: said(folder) + slurm.said())
        slurm.workers()[0].kill()
        until(lambda: "is lost; it is begun anew" in said(folder), lambda: said(folder))
        (folder / "go").touch()
        assert process.wait(LIMIT) == 0, said(folder) + slurm.said()
    assert made(folder) == whole[1]
    assert begun(folder) == 3
    until(lambda: not slurm.processes(), slurm.said)


def test_a_runner_that_is_killed_leaves_no_job_and_no_stage(
    folder: Path, whole: tuple[Path, State], slurm: Slurm
) -> None:
    with lobule(folder, "repro", "--cluster", "slurm", "--jobs", "1", env=slurm.environment) as process:
        until(lambda: begun(folder), lambda: said(folder) + slurm.said())
        stages = [child for child in slurm.processes() if "begun" in " ".join(words(child))]
        process.kill()
    until(lambda: not slurm.processes(), slurm.said)
    assert stages
    assert not [stage for stage in stages if stage.is_running() and stage.status() != psutil.STATUS_ZOMBIE]
    (folder / "go").touch()
    with lobule(folder, "repro", "--jobs", "2") as process:
        assert process.wait() == 0, said(folder)
    assert made(folder) == whole[1]


def words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []
