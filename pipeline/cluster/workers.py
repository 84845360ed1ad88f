"""The workers of a Dask cluster: they take stages as long as they have what these need, and tell which have ended.

The cluster is a local one in this process, which no other machine can reach; or jobs of a queue; or one that runs
already.
"""

import logging
import os
import queue
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.errors import Problem
from pipeline.cluster import work
from pipeline.cluster.queues import SETTINGS, Jobs, close, queued, section_of

TMP = Path(".dvc/tmp")
LOOPBACK = "127.0.0.1:0"  # for web pages, which Dask cannot be kept from serving; these have none
LOOK = 1.0  # seconds between two looks at which workers there are
PATIENCE = 15.0  # seconds that an interrupted stage may take to end; then it is killed, which loses nothing but time
ANSWER = 30.0  # seconds in which a worker tells how it ended what has ended
QUIET = {  # Dask looks at itself many times a second, which costs a core 5 % for as long as a training takes
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}
BOUNDED = {  # a worker that takes more than its part of the memory is ended, no more: it holds no data of Dask's
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
}
MEND = f"mend its section in {SETTINGS}, or give another one"
TRIES = 3  # of a stage whose worker is lost

Needs = Mapping[str, float]  # cores, GPU, bytes of memory


@dataclass(frozen=True)
class Where:
    """Where stages run: on this machine unless one of the others is named, each with so many at once."""

    jobs: int = 0
    cluster: str | None = None
    scheduler: str | None = None
    threads: int = 1  # of each stage
    stages_a_gpu: int = 1
    processes: bool = False  # on this machine: a worker a job, with its part of the memory, which is lost alone
    folder: Path = TMP  # that all workers share with this process


class Gone(Problem):
    """There is no cluster any more, or none that can run stages."""


class Workers:
    """The workers of a cluster, each of which has been seen to share the project's folder."""

    def __init__(self, client: Any, where: Where, jobs: Jobs | None = None) -> None:
        self.run = uuid.uuid4().hex
        self._client, self._where, self._jobs = client, where, jobs or Jobs()
        self._workers: dict[str, Needs] = {}
        self._looked = -LOOK
        self._needs: dict[str, Needs] = {}  # of the stages that run
        self._futures: dict[str, Any] = {}
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._marker = (where.folder / "lobule-folder").resolve()
        self._marker.write_text(self.run, encoding="utf-8")

    def workers(self) -> dict[str, Needs]:
        """What each worker has, by its address.

        Raises:
            Gone: one does not share the project's folder, or cannot import this package; the scheduler is not there, or
                the queue takes no job.
        """
        from distributed.comm import CommClosedError

        if time.monotonic() < self._looked + LOOK:
            return self._workers
        self._looked = time.monotonic()
        if self._jobs.refused and not self._jobs.taken:
            raise Gone(f"--cluster {self._where.cluster} takes no job: {self._jobs.refused.rstrip('.')}; {MEND}.")
        try:
            found = self._client.scheduler_info()["workers"]
        except (OSError, ValueError) as error:
            raise Gone(f"Dask's scheduler does not answer any more ({error}); run the same command again.") from None
        new = [address for address in found if address not in self._workers]
        gone_meanwhile = (CommClosedError, TimeoutError, OSError)
        try:
            arguments = str(self._marker), self.run, self._where.stages_a_gpu
            joined = self._client.run(work.join, *arguments, workers=new, on_error="return") if new else {}
        except gone_meanwhile:
            return self._workers
        for address, shares in joined.items():
            if isinstance(shares, gone_meanwhile):
                continue
            if isinstance(shares, BaseException):
                raise Gone(f"The worker {address} cannot work here ({shares}); start it by this project's .venv.")
            if not shares:
                raise Gone(
                    f"The worker {address} does not see {self._marker.parent} as this machine does; start workers"
                    " where this folder is shared under the same path."
                )
        if new:
            found = self._client.scheduler_info()["workers"]
        known = self._workers.keys() | {address for address, shares in joined.items() if shares is True}
        self._workers = {address: found[address]["resources"] for address in found if address in known}
        return self._workers

    def fits(self, needs: Needs) -> bool:
        """Whether the workers have what a stage needs beside what runs."""
        workers = self.workers()
        if not workers:
            return False
        has = {name: sum(worker.get(name, 0.0) for worker in workers.values()) for name in needs}
        taken = {name: sum(other[name] for other in self._needs.values()) for name in needs}
        return all(amount <= has[name] - taken[name] for name, amount in self._possible(needs).items())

    def start(self, name: str, job: work.Job, needs: Needs, priority: int) -> None:
        """Hand a stage to a worker that has what it needs."""
        self.submit(name, work.work, (job,), needs, priority)

    def submit(
        self, name: str, function: Callable[..., Any], arguments: Sequence[Any], needs: Needs, priority: int
    ) -> None:
        """Have a worker that has what it needs call a function."""
        possible = self._possible(needs)
        self._needs[name] = possible
        resources = {name: amount for name, amount in possible.items() if amount}
        key = f"{name}-{uuid.uuid4().hex}"
        future = self._client.submit(
            function, *arguments, key=key, pure=False, retries=0, resources=resources, priority=priority
        )
        self._futures[name] = future
        future.add_done_callback(lambda _: self._done.put(name))

    def next_ended(self, timeout: float) -> tuple[str, Any] | None:
        """What has ended, and how: None where its worker was lost. None at all where nothing ends in time, in s.

        Raises:
            Gone: a worker cannot do it at all.
        """
        from distributed import CancelledError, KilledWorker

        try:
            name = self._done.get(timeout=timeout)
        except queue.Empty:
            return None
        future = self._futures.pop(name)
        del self._needs[name]
        try:
            return name, future.result(ANSWER)
        except (KilledWorker, CancelledError, TimeoutError):  # a worker may be lost with what it has not yet told
            future.cancel()
            self._looked = -LOOK
            return name, None
        except Exception as error:
            raise Gone(f"A worker cannot run {name} ({type(error).__name__}: {error}).") from error

    def end(self, patience: float = PATIENCE) -> None:
        """Interrupt all that runs, start nothing more, and kill what does not end in time, in s; waits for nothing."""
        with suppress(Exception):  # who cannot be reached kills what it runs when it finds itself alone
            self._client.run(work.end, self.run, patience, wait=False, on_error="ignore")

    def each(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have every worker that can be reached call a function."""
        with suppress(Exception):  # of who cannot be reached nothing is left to be cleared away
            self._client.run(function, *arguments, on_error="ignore")

    def at_once(self, needs: Needs) -> int:
        """How many stages with such needs the workers can run at once, at least 1."""
        possible, workers = self._possible(needs), self._workers.values()
        counts = [sum(has.get(name, 0.0) for has in workers) // amount for name, amount in possible.items() if amount]
        return max(1, int(min(counts, default=1)))

    def _possible(self, needs: Needs) -> dict[str, float]:
        """Needs, but no more of anything than the largest worker has: who has less tries with that."""
        most = {name: max((has.get(name, 0.0) for has in self._workers.values()), default=0.0) for name in needs}
        return {name: min(amount, most[name]) for name, amount in needs.items()}


@contextmanager
def opened(where: Where) -> Iterator[Workers]:
    """The workers; a cluster that was started for it ends with it.

    Raises:
        Problem: Dask's configuration has no such cluster, or the scheduler does not answer.
    """
    import dask
    from distributed import Client

    dask.config.set(QUIET)
    dask.config.set({"distributed.scheduler.allowed-failures": 0})  # a lost stage is begun anew here, outputs cleared
    for left in where.folder.glob(".dask-jobqueue.worker.*"):  # by one that was killed
        left.unlink()
    if where.scheduler:
        with _client(where.scheduler) as client:
            yield Workers(client, where)
        return
    jobs = Jobs()
    cluster = queued(where.cluster, where.jobs, where.folder, jobs) if where.cluster else _local(where)
    try:
        with Client(cluster) as client:
            yield Workers(client, where, jobs)
    finally:
        close(cluster)


def check(where: Where) -> None:
    """Refuse a cluster or a scheduler that is not there, before anything is begun.

    Raises:
        Problem: Dask's configuration has no such cluster, or the scheduler does not answer.
    """
    if where.cluster:
        section_of(where.cluster)
    if where.scheduler:
        _client(where.scheduler).close()


def _client(scheduler: str) -> Any:
    """Who speaks with a scheduler that runs already.

    Raises:
        Problem: it does not answer.
    """
    from distributed import Client

    try:
        return Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise Problem(f"--scheduler {scheduler} does not answer ({error}); start one there.") from None


def _local(where: Where) -> Any:
    """A cluster on this machine, in this process unless `where` says in processes of their own."""
    import dask
    from distributed import LocalCluster
    from distributed.system import MEMORY_LIMIT

    dask.config.set({f"distributed.{who}.http.routes": [] for who in ("scheduler", "worker")})
    common = {
        "silence_logs": logging.CRITICAL if where.processes else logging.ERROR,  # a lost worker is told here
        "dashboard_address": LOOPBACK,
        "worker_dashboard_address": LOOPBACK,
        "local_directory": str(where.folder / "dask"),
    }
    if where.processes:
        dask.config.set(BOUNDED)
        # Other users of this machine may reach the port, but without a certificate nobody is listened to.
        return LocalCluster(
            n_workers=where.jobs,
            threads_per_worker=where.threads,
            memory_limit=MEMORY_LIMIT // where.jobs,
            security=True,
            env={"TQDM_DISABLE": "1"},  # bars of several processes would overwrite each other
            preload=["pipeline.cluster.deaf"],
            **common,
        )
    # One thread a core, of which a stage takes as many as it has threads.
    return LocalCluster(
        n_workers=1, threads_per_worker=where.jobs * where.threads, processes=False, memory_limit=0, **common
    )


def python_folder() -> str:
    """The folder of this Python, in which a stage's `python` is looked for first."""
    return os.path.dirname(sys.executable)  # noqa: PTH120 - not resolved: a link in .venv/bin leads out of it
