import sys
from pathlib import Path

import pytest

from benchmarks import loader


@pytest.mark.slow
def test_the_loader_and_a_training_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # and back
    monkeypatch.setattr(sys, "argv", ["loader", "--sides", "32", "--tiles", "10", "--batch", "2", "--rounds", "1"])
    loader.main()
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [line[:2] for line in lines[1:4]] == [["32", name] for name in ("no", "yes", "colours by the device")]
    assert all(float(value) > 0 for line in lines[1:4] for value in line[2:])
    parts = {name: float(value) for name, value in lines[5:]}
    assert len(parts) == 11
    assert all(value >= 0 for value in parts.values())
    assert parts["online: stain"] > 0
    assert parts["all of a tile whose colours are left to the device"] > 0
