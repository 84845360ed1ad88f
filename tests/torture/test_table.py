from pathlib import Path

from tests.torture.table import Log, Row, render


def test_what_did_not_hold_is_counted_and_told() -> None:
    row = Row("kill", "train")
    row.add(None)
    row.add("models/a/weights differ")
    lines = render([row]).splitlines()
    assert "| kill | train | 2 | 1 |" in lines
    assert "| all | | 2 | 1 |" in lines
    assert "- kill, train: models/a/weights differ" in lines


def test_tries_are_gone_on_with_where_a_log_ends(tmp_path: Path) -> None:
    tries = [lambda: None, lambda: "differ", lambda: None]
    Log(tmp_path / "log").row("kill", "train").add_all(tries[:2])
    log = Log(tmp_path / "log")
    log.row("kill", "train").add_all(tries)
    log.row("kill", "train").add_all(tries)
    for found in (log, Log(tmp_path / "log")):
        (row,) = found.rows.values()
        assert (row.tried, row.held, row.broken) == (3, 2, ["differ"])
