"""A full disk or a missing right is never called a damaged file; a stage ends in one line, and with its DVC."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tifffile

from pipeline.base.errors import Problem, machine_problem, run_stage
from pipeline.base.faults import MACHINE
from pipeline.datasets.pannuke.npy import Npy
from pipeline.slides.tiff import check_whole

ROOT = Path(__file__).parents[2]
WAITING = (  # a shell's & has what it starts ignore SIGINT
    "import signal, time; from pipeline.base.errors import run_stage; "
    "signal.signal(signal.SIGINT, signal.default_int_handler); run_stage(lambda: print('up') or time.sleep(60))"
)
SENTENCE = "lobule: interrupted; run the same command again to go on.\n"


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


def start(code: str, **options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **options}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_one_sentence(number: signal.Signals) -> None:
    with start(WAITING) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.communicate(timeout=120)[1] == SENTENCE
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_falls_into_a_destructor_is_not_lost(number: signal.Signals) -> None:
    falls = (
        f"class Dying:\n    def __del__(self):\n        signal.raise_signal({int(number)})\n"
        "def work():\n    Dying()\n    time.sleep(60)\n"
    )
    began = time.monotonic()
    with start(WAITING.rpartition("; ")[0] + "\n" + falls + "run_stage(work)") as process:
        assert process.communicate(timeout=50)[1] == SENTENCE
    assert process.returncode == 130 and time.monotonic() - began < 50


def test_an_interruption_while_modules_are_imported_is_one_sentence() -> None:
    with start("import pipeline.base.errors; raise KeyboardInterrupt") as process:
        assert process.communicate(timeout=120)[1] == SENTENCE
    assert process.returncode != 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone (prctl)")
def test_a_stage_ends_with_the_dvc_that_runs_it() -> None:
    parent = (
        "import subprocess, sys\n"
        f"process = subprocess.Popen([sys.executable, '-c', {WAITING!r}])\n"
        "print(process.pid)\n"
        "process.wait()\n"
    )
    with start(parent, DVC_STAGE="train") as process:
        assert process.stdout is not None
        lines = {process.stdout.readline().strip() for _ in range(2)}
        (stage,) = (int(line) for line in lines - {"up"})
        process.kill()
        process.wait()
        deadline = time.monotonic() + 120
        while Path(f"/proc/{stage}/cmdline").exists() and Path(f"/proc/{stage}/cmdline").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_message_keeps_its_file_and_its_cure_however_long_its_middle() -> None:
    said = str(Problem(f"a.zip cannot be read ({'x' * 70_000}); get it again."))
    assert len(said) < 9000
    assert said.startswith("a.zip cannot be read (xxx")
    assert said.endswith("xxx); get it again.")
    assert str(Problem("short.")) == "short."


@pytest.mark.parametrize("lines", [1, 100_000], ids=["at its end", "in the middle"])
def test_a_reader_who_has_gone_is_no_traceback(lines: int) -> None:
    script = (
        f"from pipeline.base.errors import run_stage; run_stage(lambda: [print(n) for n in range({lines})] and None)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == "lobule: whoever read what is printed here, or was written to, has gone.\n"
    assert process.wait() == 1
