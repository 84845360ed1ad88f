"""`lobule apply` over workers: the same bytes as in one process, whoever is killed meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline import commands
from pipeline.base.records import Applied
from tests import fabricated
from tests.commands.beside import running_scheduler
from tests.commands.slurm import Slurm
from tests.commands.test_apply import make_model
from tests.slide_files import speckled, write_tiff

LIMIT = 600.0  # seconds for what takes some
WORDS = ("apply", "weights", "slides", "--instances", "watershed", "--overlap", "0.5", "--tile-size", "64")
START = (  # as a shell's & starts it: deaf to SIGINT
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    f"sys.path.insert(0, {str(fabricated.ROOT)!r}); from pipeline.commands import main; main()"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, three slides and a broken one, and what one process makes of them in `alone`."""
    folder = tmp_path_factory.mktemp("project")
    make_model(folder / "weights")
    for seed in range(3):
        pixels = np.concatenate([speckled(300, 260, seed + part) for part in range(4)], axis=1)
        write_tiff(folder / f"slides/slide{seed}.tif", pixels, 0.5)
    (folder / "slides/broken.svs").write_bytes(b"nothing")
    with lobule(folder, "alone") as process:
        assert process.wait(LIMIT) == 1, said(folder, "alone")
    return folder


def lobule(
    folder: Path, out: str, *words: str, environment: Mapping[str, str] = os.environ
) -> "subprocess.Popen[bytes]":
    with (folder / f"{out}.said").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", START, *WORDS, "--out", out, *words],
            cwd=folder,
            env={**environment, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def said(folder: Path, out: str) -> str:
    return (folder / f"{out}.said").read_text()


def results(folder: Path, out: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The bytes of all results but run.json, and what that says, but for times and memory."""
    files = [path for path in sorted((folder / out).iterdir()) if path.is_file() and path.name != "run.json"]
    record = Applied.read(folder / out / "run.json").model_dump(exclude={"seconds", "peak_memory"})
    for slide in record["slides"]:
        slide["seconds"] = 0
    return {path.name: path.read_bytes() for path in files}, record


def until(true: Callable[[], object], or_said: Callable[[], str]) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, or_said()
        time.sleep(0.05)


def workers(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """The processes that do the work."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            found.append(child)
    return found


def has_begun(folder: Path, out: str) -> bool:
    return bool(list((folder / out).glob(".lobule/slide*/maps/*")))


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with one worker of a thread, in this process."""
    with running_scheduler(threads=1) as address:
        yield address


def test_a_scheduler_that_runs_already_gives_the_same_bytes(
    folder: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(SystemExit) as stopped:
        fabricated.run(commands.main, *WORDS, "--out", "there", "--scheduler", scheduler)
    assert stopped.value.code == 1
    assert "1 of 4 slides failed, as said above: broken." in capsys.readouterr().err
    assert results(folder, "there") == results(folder, "alone")
    assert not (folder / "there/.lobule-workers").exists()


def test_in_one_process_nothing_of_dask_is_imported(folder: Path) -> None:
    script = "import sys\ntry:\n    main()\nfinally:\n    print({'dask', 'distributed'} & set(sys.modules))"
    start = START.removesuffix(" main()") + "\n" + script
    words = ["apply", "weights", "slides/slide0.tif", "--instances", "none", "--out", "plain"]
    command = [sys.executable, "-c", start, *words]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_slide_a_second_beginning(folder: Path) -> None:
    with lobule(folder, "killed", "--jobs", "2") as process:
        until(lambda: has_begun(folder, "killed"), lambda: said(folder, "killed"))
        for worker in workers(process):
            worker.kill()
        assert process.wait(LIMIT) == 1, said(folder, "killed")
    assert "is lost; another one goes on with it" in said(folder, "killed")
    assert "lobule: 1 of 4 slides failed, as said above: broken." in said(folder, "killed")
    assert results(folder, "killed") == results(folder, "alone")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interruption_ends_all_and_a_second_call_goes_on(folder: Path, number: signal.Signals) -> None:
    out = number.name
    with lobule(folder, out, "--jobs", "2") as process:
        until(lambda: has_begun(folder, out), lambda: said(folder, out))
        every = psutil.Process(process.pid).children(recursive=True)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal's Ctrl-C does
        else:
            process.send_signal(number)
        code = process.wait(LIMIT)
    _, alive = psutil.wait_procs(every, timeout=LIMIT)
    assert every and not alive
    if number != signal.SIGKILL:
        assert code == 130, said(folder, out)
        assert "Traceback" not in said(folder, out)
        assert not (folder / out / ".lobule-workers").exists()
    with lobule(folder, out, "--jobs", "2") as process:
        assert process.wait(LIMIT) == 1, said(folder, out)
    assert results(folder, out) == results(folder, "alone")


@pytest.mark.slow
def test_jobs_of_slurm_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    slurm = Slurm(tmp_path)
    try:
        with lobule(folder, "jobs", "--cluster", "slurm", "--jobs", "2", environment=slurm.environment) as process:
            assert process.wait(LIMIT) == 1, said(folder, "jobs") + slurm.said()
        assert said(folder, "jobs").endswith("lobule: 1 of 4 slides failed, as said above: broken.\n")
        assert results(folder, "jobs") == results(folder, "alone")
        until(lambda: not slurm.processes(), slurm.said)
    finally:
        slurm.end()
