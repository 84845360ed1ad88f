"""Crews of a local cluster, and of clusters that cannot be had."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.errors import Problem
from pipeline.cluster import work, workers
from pipeline.cluster.work import Ended, Job

SMALL = {"cores": 1.0, "GPU": 0.0, "memory": 1.0}
LIMIT = 600.0  # seconds in which a stage that takes none should end


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    workers.TMP.mkdir(parents=True)
    return tmp_path


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[workers.Workers]:
    """Workers for three stages at once, with two GPUs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-6")
    with workers.opened(workers.Where(jobs=3)) as hands:
        yield hands


def job(hands: workers.Workers, name: str, *lines: str, on_gpu: bool = False) -> Job:
    commands = tuple(("sh", "-c", line) for line in lines)
    return Job(hands.run, commands, str(Path.cwd()), str(Path(name).resolve()), {"WHO": name}, "/none", on_gpu, 1)


def ended(hands: workers.Workers, count: int) -> dict[str, Ended | None]:
    found = {}
    for _ in range(count):
        one = hands.next_ended(LIMIT)
        assert one is not None
        found[one[0]] = one[1]
    return found


def code(how: Ended | None) -> int | None:
    return how.code if how else None


@pytest.mark.slow
def test_commands_run_one_after_another_until_one_fails(two: workers.Workers, folder: Path) -> None:
    assert two.fits(SMALL)
    two.start("good", job(two, "good", "echo $WHO", "echo again >&2"), SMALL, 0)
    two.start("bad", job(two, "bad", "exit 3", "echo never"), SMALL, 0)
    two.start("absent", replace(job(two, "absent"), commands=(("/no/shell", "-c", "true"),)), SMALL, 0)
    found = ended(two, 3)
    assert {name: code(how) for name, how in found.items()} == {"good": 0, "bad": 3, "absent": 127}
    assert "/no/shell" in (folder / "absent").read_text()
    assert (folder / "good").read_text() == "good\nagain\n"
    assert (folder / "bad").read_text() == ""


@pytest.mark.slow
def test_a_gpu_is_given_to_one_stage_at_a_time(two: workers.Workers, folder: Path) -> None:
    training = {"cores": 1.0, "GPU": 1.0, "memory": 1.0}
    wait = "echo $CUDA_VISIBLE_DEVICES; until [ -e go ]; do sleep 0.05; done"
    for name in ("a", "b"):
        assert two.fits(training)
        two.start(name, job(two, name, wait, on_gpu=True), training, 0)
    assert not two.fits(training)
    assert two.fits(SMALL)
    while not all((folder / name).exists() and (folder / name).read_text() for name in ("a", "b")):
        time.sleep(0.02)  # until both have begun: one after the other may have the same GPU
    (folder / "go").touch()
    ended(two, 2)
    assert sorted((folder / name).read_text() for name in ("a", "b")) == ["5\n", "GPU-6\n"]
    assert two.fits(training)


@pytest.mark.slow
def test_who_wants_more_than_there_is_gets_all_there_is(two: workers.Workers) -> None:
    much = {"cores": 8.0, "GPU": 0.0, "memory": 1e18}
    assert two.fits(much)
    assert two.at_once(much) == 1
    assert two.at_once(SMALL) == 3
    two.start("much", job(two, "much", "true"), much, 0)
    assert not two.fits(SMALL)
    assert code(ended(two, 1)["much"]) == 0


@pytest.mark.slow
def test_an_interruption_reaches_all_and_starts_nothing_more(two: workers.Workers) -> None:
    assert two.fits(SMALL)
    stubborn = "trap '' INT; touch begun; sleep 60 & wait; sleep 60"
    two.start("stubborn", job(two, "stubborn", stubborn), SMALL, 0)
    while not Path("begun").exists():
        pass
    two.end(patience=1.0)
    while two.run not in work.ended:
        pass
    two.start("late", job(two, "late", "touch late-ran"), SMALL, 0)
    found = ended(two, 2)
    assert code(found["stubborn"]) == -signal.SIGKILL
    assert code(found["late"]) == -signal.SIGINT
    assert not Path("late-ran").exists()


class Client:
    """Of a scheduler with one worker, which answers as it is told."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def scheduler_info(self) -> dict[str, Any]:
        return {"workers": {"tcp://one": {"resources": {"cores": 2.0}}}}

    def run(self, function: object, *arguments: object, **options: object) -> dict[str, object]:
        return {"tcp://one": self.answer}


def test_workers_that_cannot_run_stages_are_refused() -> None:
    assert workers.Workers(Client(True), workers.Where()).workers() == {"tcp://one": {"cores": 2.0}}
    with pytest.raises(Problem, match=r"tcp://one does not see .* as this machine does; start workers where"):
        workers.Workers(Client(False), workers.Where()).workers()
    with pytest.raises(Problem, match=r"tcp://one cannot work here \(no pipeline\); start it by"):
        workers.Workers(Client(ModuleNotFoundError("no pipeline")), workers.Where()).workers()
    assert workers.Workers(Client(OSError("gone")), workers.Where()).workers() == {}


class Future:
    """Of what has ended, of which nothing can be had."""

    is_cancelled = False

    def add_done_callback(self, function: Any) -> None:
        function(self)

    def result(self, timeout: float) -> None:
        raise TimeoutError

    def cancel(self) -> None:
        self.is_cancelled = True


def test_what_a_lost_worker_has_not_told_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    client, future = Client(True), Future()
    monkeypatch.setattr(client, "submit", lambda *arguments, **options: future, raising=False)
    hands = workers.Workers(client, workers.Where())
    hands.submit("one", len, ("",), SMALL, 0)
    assert hands.next_ended(LIMIT) == ("one", None)
    assert future.is_cancelled


@pytest.mark.slow
def test_processes_are_bounded_and_do_not_hear_of_ctrl_c(folder: Path) -> None:
    from distributed.system import MEMORY_LIMIT

    with workers.opened(workers.Where(2, processes=True, folder=folder)) as hands:
        while len(hands.workers()) < 2:
            pass
        first = hands.workers()
        assert all(has["worker"] == 1 and has["memory"] == MEMORY_LIMIT // 2 for has in first.values())
        for name in ("a", "b"):
            hands.submit(name, os.getpid, (), {"worker": 1.0}, 0)
        processes = set(ended(hands, 2).values())
        assert os.getpid() not in processes
        hands.submit("c", signal.getsignal, (signal.SIGINT,), {"worker": 1.0}, 0)
        assert ended(hands, 1)["c"] == signal.SIG_IGN
        hands.submit("d", os.kill, (next(iter(processes)), signal.SIGKILL), {"worker": 1.0}, 0)
        assert ended(hands, 1) == {"d": None}
        while hands.workers().keys() == first.keys():  # another one is started
            pass
        hands.submit("e", abs, (-1,), {"worker": 1.0}, 0)
        assert ended(hands, 1)["e"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "said"),
    [
        (
            workers.Where(1, cluster="cray"),
            r"Dask's configuration has no jobqueue\.cray; a name is one of htcondor",
        ),
        (workers.Where(1, cluster="slurm-none"), r"Dask's configuration has no jobqueue\.slurm-none; "),
        (
            workers.Where(1, cluster="slurm"),
            r"jobqueue\.slurm of Dask's configuration cannot be used \(You must",
        ),
        (workers.Where(scheduler="tcp://127.0.0.1:9"), r"--scheduler tcp://127\.0\.0\.1:9 does not answer "),
    ],
)
def test_a_cluster_that_is_not_there_is_one_sentence(
    where: workers.Where, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_CONFIG", os.devnull)
    with pytest.raises(Problem, match=said), workers.opened(where):
        pass
