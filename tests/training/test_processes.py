"""Who starts a training's processes sees to it that all end where one fails, and says so once."""

import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline.base.errors import Problem
from pipeline.training import processes
from pipeline.training.processes import Place, environments, place, spread, watch

TASK = {
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "8",
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "6",
    "SLURM_LOCALID": "2",
}
NAMES = ("LOBULE_DEVICES", "LOBULE_NODES", "DVC_STAGE", "SLURM_JOB_ID", *TASK, *environments(1)[0])


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def say(monkeypatch: pytest.MonkeyPatch, **said: str) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)


def ends(*scripts: str) -> list["subprocess.Popen[bytes]"]:
    return [subprocess.Popen(["/bin/sh", "-c", script], process_group=0) for script in scripts]


def test_one_process_is_nowhere_and_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    spread()
    say(monkeypatch, LOBULE_DEVICES="1", LOBULE_NODES=" ", SLURM_NTASKS="1", SLURM_STEP_ID="0", LOCAL_RANK="0")
    assert place() is None
    spread()


def test_a_process_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, **environments(3)[2], LOBULE_DEVICES="3")
    assert place() == Place(rank=2, count=3, local=2, devices=3, nodes=1, by_slurm=False)
    spread()  # which starts no further ones


def test_slurms_tasks_know_theirs_and_a_stage_of_dvc_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, **TASK)
    assert place() == Place(rank=6, count=8, local=2, devices=4, nodes=2, by_slurm=True)
    say(monkeypatch, DVC_STAGE="train")
    assert place() is None
    say(monkeypatch, **environments(2)[1])  # started by such a stage
    assert place() == Place(rank=1, count=2, local=1, devices=2, nodes=1, by_slurm=False)


def test_tasks_without_a_number_a_machine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, **TASK)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(Problem, match="give --nodes and --ntasks-per-node"):
        place()


@pytest.mark.parametrize("name", ["LOBULE_DEVICES", "LOBULE_NODES"])
def test_what_is_no_number_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, **{name: "two"})
    with pytest.raises(Problem, match=rf"{name} is 'two' .* give a whole number from 1"):
        spread()


def test_several_machines_need_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, LOBULE_NODES="2")
    with pytest.raises(Problem, match="LOBULE_NODES is 2 and this is no Slurm job; start it by sbatch"):
        spread()


def test_a_stage_takes_no_more_gpus_than_it_was_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for gpus, devices in ((0, 4), (4, 4), (8, 4)):
        monkeypatch.setattr("torch.cuda.device_count", lambda gpus=gpus: gpus)
        assert processes.given(4) == devices
        assert not capsys.readouterr().err
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    say(monkeypatch, LOBULE_DEVICES="4")
    spread()
    assert "asks for 4 GPUs and this stage was given 1: it trains on 1" in capsys.readouterr().err


def test_all_well() -> None:
    assert watch(ends("exit 0", "sleep 0.3")) == 0


def test_the_others_end_with_the_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 0.2)
    begin = time.monotonic()
    assert watch(ends("sleep 60", "exit 1", f"exit {processes.SILENT}")) == 1
    assert time.monotonic() - begin < 10


def test_a_process_that_was_killed_is_one_sentence_and_one_that_will_not_end_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 0.2)
    monkeypatch.setattr(processes, "CLOSING", 0.5)
    stubborn = ends("trap '' TERM; sleep 60 & wait; sleep 60", "sleep 0.3; kill -KILL $$")
    with pytest.raises(Problem, match=r"one of the training's processes was killed by SIGKILL.* run the same command"):
        watch(stubborn)
    assert [process.returncode for process in stubborn] == [-signal.SIGKILL, -signal.SIGKILL]


def test_who_is_told_to_end_ends_all() -> None:
    program = (
        "import signal, subprocess\n"
        "from pipeline.base.errors import run_stage\n"
        "from pipeline.training.processes import watch\n"
        "run_stage(lambda: watch([subprocess.Popen(['sleep', '60'], process_group=0)]))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert said == "lobule: interrupted; run the same command again to go on.\n"


def test_what_is_started_dies_with_who_started_it() -> None:
    program = (
        "import os, signal\n"
        "from pipeline.training.processes import _start\n"
        "print(_start(['sleep', '60'], {}, signal.SIGKILL).pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    until = time.monotonic() + 10
    while time.monotonic() < until and _runs(int(done.stdout)):
        time.sleep(0.05)
    assert not _runs(int(done.stdout))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
