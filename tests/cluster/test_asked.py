import argparse
import os

import pytest

from pipeline.base.errors import Problem
from pipeline.cluster.asked import add_arguments, shares

CORES = os.cpu_count() or 1


@pytest.mark.parametrize(
    ("words", "threads", "expected"),
    [
        ([], None, (CORES, 1)),
        ([], "2", (max(1, CORES // 2), 2)),
        (["--jobs", "1"], None, (1, CORES)),
        (["--jobs", "3"], "5", (3, 5)),
        (["--jobs", "3", "--cluster", "slurm"], None, (3, 1)),
        (["--scheduler", "tcp://a:1"], "4", (1, 4)),
    ],
)
def test_jobs_and_threads_share_the_cores(
    words: list[str], threads: str | None, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert shares(asked(*words)) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--jobs", "0"], "--jobs is 0 and should be at least 1"),
        (["--stages-a-gpu", "0"], "--stages-a-gpu is 0 and should be at least 1"),
        (["--cluster", "slurm"], "--cluster slurm needs --jobs N"),
        (["--scheduler", "tcp://a:1", "--jobs", "2"], "--jobs says nothing beside --scheduler"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(Problem, match=said):
        shares(asked(*words))


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser, "stages", "cores")
    return parser.parse_args(words)
