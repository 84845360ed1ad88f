"""The processes of one training: how many `LOBULE_DEVICES` and `LOBULE_NODES` ask for, where this one stands, and the
one that starts them, watches them and ends all where one fails.

They are of the environment and not of the parameters, since where a training ran must not make it another one. Each
process runs the stage's command again; torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK, ...) or Slurm's tell it
which it is. Imports no torch where one process trains.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.base.apart import asked
from pipeline.base.errors import PARENT_ENDS, Problem

SILENT = 75  # exit code of a process that lost another one and leaves it to the one that started both to say so
INTERRUPTED = 130
POLL = 0.1  # s between two looks at the processes
PATIENCE = 2.0  # s in which the others end by themselves, as those do that miss a connection
CLOSING = 6.0  # s in which a process that was told to end writes what it must


@dataclass(frozen=True)
class Place:
    """Which of a training's processes this one is, from 0."""

    rank: int
    count: int
    local: int  # among those of its machine
    devices: int  # processes a machine
    nodes: int
    by_slurm: bool


def place() -> Place | None:
    """Where this process stands among those of a training; None where it is the only one or starts them.

    Raises:
        Problem: Slurm was asked for tasks in a way that does not say how many a machine has.
    """
    said = os.environ
    if "LOCAL_RANK" in said and int(said.get("WORLD_SIZE", "1")) > 1:
        count, devices = int(said["WORLD_SIZE"]), int(said["LOCAL_WORLD_SIZE"])
        return Place(int(said["RANK"]), count, int(said["LOCAL_RANK"]), devices, count // devices, False)
    if "DVC_STAGE" in said:  # a stage is one process, wherever DVC runs
        return None
    if "SLURM_STEP_ID" in said and int(said.get("SLURM_NTASKS", "1")) > 1:
        if "SLURM_NTASKS_PER_NODE" not in said:
            raise Problem(
                "srun was told --ntasks; give --nodes and --ntasks-per-node, as many a machine as it has GPUs."
            )
        devices, nodes = int(said["SLURM_NTASKS_PER_NODE"]), int(said["SLURM_NNODES"])
        return Place(
            int(said["SLURM_PROCID"]), int(said["SLURM_NTASKS"]), int(said["SLURM_LOCALID"]), devices, nodes, True
        )
    return None


def spread() -> None:
    """Start the processes that are asked for, wait for them, and exit as they did; returns in a process that trains.

    Raises:
        Problem: a process was killed, or several machines are asked for where nothing starts processes on them.
    """
    if place() is not None:
        return
    devices, nodes = asked("LOBULE_DEVICES"), asked("LOBULE_NODES")
    if devices > 1:
        devices = given(devices)
    if devices * nodes == 1:
        return
    command = [sys.executable, *sys.orig_argv[1:]]
    if nodes > 1:
        if "SLURM_JOB_ID" not in os.environ:
            raise Problem(f"LOBULE_NODES is {nodes} and this is no Slurm job; start it by sbatch, or unset it.")
        tasks = [f"--nodes={nodes}", f"--ntasks-per-node={devices}", f"--ntasks={nodes * devices}"]
        if cores := os.environ.get("SLURM_CPUS_PER_TASK"):
            tasks.append(f"--cpus-per-task={cores}")  # which srun does not take from sbatch
        command = ["srun", *tasks, "--kill-on-bad-exit=1", *command]
        processes = [_start(command, {"MASTER_PORT": str(free_port())}, signal.SIGTERM)]  # which srun passes on
    else:
        processes = [_start(command, environment, signal.SIGKILL) for environment in environments(devices)]
    sys.exit(watch(processes))


def given(devices: int) -> int:
    """As many of the devices that are asked for as this stage was given GPUs; all where there is none at all."""
    import torch

    gpus = torch.cuda.device_count()
    if not 0 < gpus < devices:
        return devices
    print(
        f"lobule: LOBULE_DEVICES asks for {devices} GPUs and this stage was given {gpus}: it trains on {gpus}."
        " `lobule repro --jobs 1` gives a stage all of them.",
        file=sys.stderr,
    )
    return gpus


def environments(count: int) -> list[dict[str, str]]:
    """What torchrun would tell so many processes of this machine."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "NODE_RANK": 0}
    shared |= {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    return [
        {name: str(value) for name, value in (shared | {"RANK": rank, "LOCAL_RANK": rank}).items()}
        for rank in range(count)
    ]


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


def watch(processes: Sequence["subprocess.Popen[bytes]"]) -> int:
    """Wait for processes and give the exit code of all; where one fails, or this one is told to end, all end.

    Raises:
        KeyboardInterrupt: this one was told to end, and none said so.
        Problem: one was killed, and none said why.
    """
    told = False  # whether somebody told this process to end
    try:
        _wait(processes, None)
        _wait(processes, PATIENCE, all_of_them=True)
    except KeyboardInterrupt:
        told = True
    for number, seconds in ((signal.SIGTERM, CLOSING), (signal.SIGKILL, CLOSING)):
        for process in processes:
            process.send_signal(number)  # to those that run
        _wait(processes, seconds, all_of_them=True)
    codes = [process.wait() for process in processes]
    if INTERRUPTED in codes:
        return INTERRUPTED
    if told and any(codes):
        raise KeyboardInterrupt  # which they were too young to say
    if spoke := [code for code in codes if 0 < code < 128 and code != SILENT]:
        return spoke[0]
    if any(codes):
        killed = next((code for code in codes if code not in (0, SILENT)), SILENT)
        how = f" by {signal.Signals(-killed).name}" if killed < 0 else ""
        raise Problem(
            f"one of the training's processes was killed{how}, most often for want of memory, and the others were"
            " ended; run the same command again: it goes on where it was saved."
        )
    return 0


def _wait(processes: Sequence["subprocess.Popen[bytes]"], seconds: float | None, all_of_them: bool = False) -> None:
    """Wait so long at most until all have ended, or, if not for `all_of_them`, one has failed."""
    until = None if seconds is None else time.monotonic() + seconds
    while None in (codes := [process.poll() for process in processes]):
        if (any(codes) and not all_of_them) or (until is not None and time.monotonic() > until):
            return
        time.sleep(POLL)


def _start(command: Sequence[str], environment: Mapping[str, str], at_end: signal.Signals) -> "subprocess.Popen[bytes]":
    """Start a process that Ctrl-C does not reach, and that gets a signal as soon as this one is gone."""

    def tied() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PARENT_ENDS, at_end)

    own = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}  # that is this process
    return subprocess.Popen(command, env=own | dict(environment), process_group=0, preexec_fn=tied)
