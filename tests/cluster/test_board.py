import io

import pytest
from rich.console import Console

from pipeline.cluster.board import Board, Estimate, clock, table


def test_seconds_are_read_as_a_clock() -> None:
    assert [clock(seconds) for seconds in (0.4, 59.6, 3723)] == ["0:00", "1:00", "1:02:03"]


def test_the_table_has_a_line_for_each_that_runs_and_one_for_all() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(table({"train@[a]": 10.0}, {"waiting": 2, "done": 3, "failed": 0}, 65.0, now=15.0))
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert lines == ["train@[a] 0:05", "1 running, 2 waiting, 3 done 1:05 to go"]


def test_the_time_to_go_is_learned_by_kind() -> None:
    estimate = Estimate()
    assert estimate.to_go(["train@b"], {}, 2, now=0.0) is None
    estimate.learn("train@a", 10.0)
    estimate.learn("report", 2.0)
    assert estimate.to_go(["train@b", "report"], {"train@c": 5.0}, 1, now=9.0) == pytest.approx(10 + 2 + 6)
    assert estimate.to_go(["train@b", "report"], {"train@c": 5.0}, 2, now=9.0) == pytest.approx(9)
    assert estimate.to_go([], {"train@c": 5.0}, 2, now=9.0) == pytest.approx(6)  # no shorter than what runs
    assert estimate.to_go(["guard@a"], {}, 1, now=0.0) == pytest.approx(6)  # of a kind that is new


def test_without_a_terminal_there_are_lines_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with Board() as board:
        board.show({"train@a": 0.0}, {"done": 1}, None)
        board.say("Running stage 'train@[a]':")
    assert capsys.readouterr().out == "Running stage 'train@[a]':\n"
