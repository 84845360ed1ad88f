"""Things in processes of their own: what they give, what is wrong with them, and what is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.base import apart
from pipeline.base.errors import Problem
from tests.fabricated import ROOT


@pytest.mark.parametrize("at_once", [1, 2])
def test_all_are_done_and_problems_are_given_back(at_once: int) -> None:
    def halve(number: int) -> float:
        if number % 2:
            raise Problem(f"{number} is odd")
        return number / 2

    found = dict(apart.each({"a": 2, "b": 3, "c": 8}, halve, at_once))
    assert (found["a"], found["c"]) == (1, 4)
    assert isinstance(found["b"], Problem) and str(found["b"]) == "3 is odd"


def test_each_has_a_process_and_no_more_than_so_many_at_once() -> None:
    def when(number: int) -> tuple[int, float, float]:
        began = time.monotonic()
        time.sleep(0.3)
        return os.getpid(), began, time.monotonic()

    found = [what for _, what in apart.each({str(number): number for number in range(4)}, when, 2)]
    times = [what for what in found if not isinstance(what, Problem)]
    assert len({process for process, _, _ in times} - {os.getpid()}) == 4
    for _, moment, _ in times:
        assert sum(began <= moment < ended for _, began, ended in times) <= 2


def test_who_is_killed_twice_is_named_and_the_others_are_done(capsys: pytest.CaptureFixture[str]) -> None:
    def do(number: int) -> int:
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    found = dict(apart.each({"good": 0, "heavy": 1, "late": 2}, do, 2))
    assert (found["good"], found["late"]) == (0, 2)
    assert str(found["heavy"]).startswith("heavy: 2 processes that worked on it were lost (signal 9); give fewer")
    assert capsys.readouterr().out == "heavy: its process was lost (signal 9), it is begun anew\n"


def test_what_nobody_expected_is_raised_and_ends_the_others() -> None:
    def do(number: int) -> None:
        if number:
            time.sleep(60)
        raise ZeroDivisionError("of a thing")

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="of a thing"):
        list(apart.each({"a": 0, "b": 1}, do, 2))
    assert time.monotonic() - began < 30


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_none_outlives_the_one_that_started_it(number: signal.Signals, tmp_path: Path) -> None:
    script = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & has what it starts ignore it
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from pipeline.base import apart
def do(name):
    Path(name).touch()
    time.sleep(600)
list(apart.each({{"a": "a", "b": "b"}}, do, 2))
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.02)
        children = psutil.Process(process.pid).children()
        process.send_signal(number)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert len(children) == 2 and not alive


@pytest.mark.parametrize(("said", "expected"), [("", 1), ("3", 3)])
def test_how_many_are_asked_for(said: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(apart.ENVIRONMENT, said)
    assert apart.workers() == expected


@pytest.mark.parametrize("said", ["0", "-2", "two", "1.5", "²"])
def test_what_is_no_number_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(apart.ENVIRONMENT, said)
    with pytest.raises(Problem, match=r"LOBULE_WORKERS is .* give a whole number from 1, or unset it"):
        apart.workers()
