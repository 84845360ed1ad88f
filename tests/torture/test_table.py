from tests.torture.table import Row, render


def test_what_did_not_hold_is_counted_and_told() -> None:
    row = Row("kill", "train")
    row.add(None)
    row.add("models/a/weights differ")
    lines = render([row]).splitlines()
    assert "| kill | train | 2 | 1 |" in lines
    assert "| all | | 2 | 1 |" in lines
    assert "- kill, train: models/a/weights differ" in lines
