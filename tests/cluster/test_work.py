"""What a worker does, without a cluster where none is needed."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from pipeline.cluster import work


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A worker of two cores, and what it says that it has."""
    monkeypatch.setattr(work, "LOOKS", 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    has: dict[str, float] = {}

    async def set_resources(**resources: float) -> None:
        has.update(resources)

    worker = SimpleNamespace(
        state=SimpleNamespace(total_resources={}, nthreads=2),
        memory_manager=SimpleNamespace(memory_limit=5e9),
        set_resources=set_resources,
        has=has,
    )
    return worker


def test_a_worker_tells_what_it_has_once_it_sees_the_folder(joined: Any, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    assert not asyncio.run(work.join(str(marker), "token", 1, dask_worker=joined))
    marker.write_text("of another run")
    assert not asyncio.run(work.join(str(marker), "token", 1, dask_worker=joined))
    assert not joined.has
    marker.write_text("token")
    assert asyncio.run(work.join(str(marker), "token", 3, dask_worker=joined))
    assert joined.has == {"cores": 2, "GPU": 6, "memory": 5e9, "worker": 1}
    joined.state.total_resources["GPU"] = 1  # as it was started
    asyncio.run(work.join(str(marker), "token", 1, dask_worker=joined))
    assert joined.has["GPU"] == 1


@pytest.mark.parametrize(("said", "found"), [("", []), ("-1", []), ("1", ["1"]), ("0, GPU-8a", ["0", "GPU-8a"])])
def test_devices_are_those_that_are_left_visible(said: str, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert work.devices() == found


def test_no_process_of_a_stage_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    said = tmp_path / "said"
    worker = f"""
import subprocess, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pipeline.cluster import work
with work._group("run") as group:
    subprocess.Popen(["sh", "-c", "sleep 60 & echo $$ $! > {said}.new; mv {said}.new {said}; wait"],
                     process_group=group).wait()
"""
    with subprocess.Popen([sys.executable, "-c", worker]) as process:
        while not said.exists() and process.poll() is None:
            time.sleep(0.02)
        stages = [psutil.Process(int(number)) for number in said.read_text().split()]
        process.kill()
    _, alive = psutil.wait_procs(stages, timeout=300)
    assert len(stages) == 2
    assert not alive


@pytest.mark.parametrize(
    ("code", "told"),
    [(3, "exit code 3"), (-15, "killed by signal 15"), (-9, "killed by signal 9, most often for want of memory")],
)
def test_an_end_is_told_in_words(code: int, told: str) -> None:
    assert work.Ended(code, 1.0).told() == told
