"""A stage that is ended says so in one sentence, and ends with the DVC that runs it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WAITING = "import time; from pipeline.base.errors import run_stage; run_stage(lambda: print('up') or time.sleep(60))"
SENTENCE = "lobule: interrupted; run the same command again to go on.\n"


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
        assert process.communicate(timeout=10)[1] == SENTENCE
    assert process.returncode == 130


def test_an_interruption_while_modules_are_imported_is_one_sentence() -> None:
    with start("import pipeline.base.errors; raise KeyboardInterrupt") as process:
        assert process.communicate(timeout=10)[1] == SENTENCE
    assert process.returncode != 0


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to tell it")
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
        deadline = time.monotonic() + 10
        while Path(f"/proc/{stage}/cmdline").exists() and Path(f"/proc/{stage}/cmdline").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.05)
