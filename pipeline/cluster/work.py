"""What a Dask worker does: it joins, runs the commands of stages in the project's folder, and ends them when told.

Imports no DVC: a worker reads and writes none of DVC's files. A stage and all that it starts are one group of
processes, led by a guard that kills it as soon as the worker is gone, however that came.
"""

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

POLL = 0.05  # seconds between two looks at a command
LOOKS = 20  # at the shared folder, half a second apart: a network's file system may show a new file late
GUARD = "trap '' INT TERM HUP; cat >/dev/null; kill -KILL 0"  # reads until the worker closes the pipe, or is gone
CANNOT_RUN = 127  # a shell's exit code for what it does not find
CLOSING = {"closing", "closed", "failed", "stopping", "stopped"}  # a worker that has lost its scheduler closes
running: dict[int, str] = {}  # groups of processes on this worker: their number, and the `lobule repro` they are of
ended: set[str] = set()  # each `lobule repro` that was interrupted


@dataclass(frozen=True)
class Job:
    """The commands of one stage, to be run one after another until one fails."""

    run: str  # the `lobule repro` that it is of
    commands: tuple[tuple[str, ...], ...]
    folder: str  # in which they run
    log: str  # file that takes what they print
    environment: dict[str, str]  # beside the worker's own
    path: str  # a folder in which programs are looked for first
    on_gpu: bool
    stages_a_gpu: int


@dataclass(frozen=True)
class Ended:
    """How a stage ended: exit code, or minus the number of the signal that ended it; seconds that it took."""

    code: int
    seconds: float

    def told(self) -> str:
        """How, in words."""
        if self.code >= 0:
            return f"exit code {self.code}"
        why = ", most often for want of memory" if -self.code == signal.SIGKILL else ""
        return f"killed by signal {-self.code}{why}"


async def join(marker: str, token: str, stages_a_gpu: int, dask_worker: Any = None) -> bool:
    """Say what this worker has (cores, GPUs, bytes of memory), once it has seen that it shares the folder."""
    from distributed.system import MEMORY_LIMIT

    for look in range(LOOKS):
        if _says(marker, token):
            break
        if look + 1 == LOOKS:
            return False
        await asyncio.sleep(0.5)
    stated = dask_worker.state.total_resources
    has = {
        "cores": float(dask_worker.state.nthreads),
        "GPU": float(stated.get("GPU", len(devices())) * stages_a_gpu),
        "memory": float(dask_worker.memory_manager.memory_limit or MEMORY_LIMIT),
        "worker": 1.0,  # which a task takes that has a worker for itself
    }
    await dask_worker.set_resources(**has)
    return True


async def end(run: str, patience: float) -> None:
    """Interrupt what runs of a `lobule repro`, start nothing more of it, and kill what does not end in time, in s."""
    ended.add(run)
    _signal(run, signal.SIGINT)
    until = time.monotonic() + patience
    while run in running.values() and time.monotonic() < until:
        await asyncio.sleep(POLL)
    _signal(run, signal.SIGKILL)


def work(job: Job) -> Ended:
    """Run the commands of a stage; SIGKILL to all of it where nobody waits for it any more."""
    is_wanted, begin, code = wanted(), time.monotonic(), 0
    environment = {**os.environ, **job.environment, "PATH": f"{job.path}{os.pathsep}{os.environ.get('PATH', '')}"}
    taken = device(job.run, devices(), job.stages_a_gpu) if job.on_gpu else nullcontext()
    with taken as name, Path(job.log).open("wb") as log:
        if name is not None:
            environment["CUDA_VISIBLE_DEVICES"] = name
        for command in job.commands:
            if job.run in ended:
                return Ended(-signal.SIGINT, time.monotonic() - begin)
            try:
                code = _run(command, job, environment, log, is_wanted)
            except OSError as error:  # no such shell here, or no such folder
                log.write(f"{error}\n".encode())
                code = CANNOT_RUN
            if code:
                break
    return Ended(code, time.monotonic() - begin)


def _run(
    command: tuple[str, ...], job: Job, environment: dict[str, str], log: IO[bytes], is_wanted: Callable[[], bool]
) -> int:
    """The exit code of a command that runs until it ends, or is killed because nobody waits for it any more."""
    with _group(job.run) as group:
        process = subprocess.Popen(
            command,
            cwd=job.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=group,
        )
        while process.poll() is None and is_wanted():
            time.sleep(POLL)
    return process.wait()


def wanted() -> Callable[[], bool]:
    """Whether somebody still waits for the task that this thread is at; may be asked from any other thread, too.

    Nobody does once the worker is about to close, or the one who gave it the task is gone.
    """
    from distributed.worker import get_worker, thread_state

    worker, key = get_worker(), thread_state.key

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return worker.status.name not in CLOSING and task is not None and task.state == "executing"

    return is_wanted


def devices() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [
            name.strip() for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip() not in {"", "-1"}
        ]
    if not shutil.which("nvidia-smi"):
        return []
    asked = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []


@contextmanager
def device(run: str, names: Sequence[str], at_once: int) -> Iterator[str | None]:
    """One of these GPUs, which nobody else on this machine was given here, or fewer than so many; None of none.

    Several workers of a machine may see the same GPUs: a locked file, which a death unlocks, says who has which.
    """
    places = [(name, turn) for turn in range(at_once) for name in names]
    folder = Path(tempfile.gettempdir()) / f"lobule-gpus-{os.getuid()}"
    while places and run not in ended:
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, turn in places:
            with (folder / f"{name.replace('/', '_')}.{turn}").open("w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
                yield name
                return
        time.sleep(POLL)
    yield None


@contextmanager
def _group(run: str) -> Iterator[int]:
    """A group of processes, none of which outlives this or the worker."""
    with subprocess.Popen(["/bin/sh", "-c", GUARD], stdin=subprocess.PIPE, process_group=0) as guard:
        running[guard.pid] = run
        try:
            yield guard.pid
        finally:
            del running[guard.pid]


def _signal(run: str, number: int) -> None:
    for group, of in list(running.items()):
        if of == run:
            with suppress(ProcessLookupError):
                os.killpg(group, number)


def _says(marker: str, token: str) -> bool:
    try:
        return Path(marker).read_text(encoding="utf-8") == token
    except OSError:
        return False
