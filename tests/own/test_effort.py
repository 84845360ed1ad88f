"""What a study will need of a machine."""

import pytest

from pipeline.own import effort


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "1 minute"), (100, "2 minutes"), (7_199, "120 minutes"), (7_200, "2 hours"), (200_000, "2 days")],
)
def test_durations(seconds: float, said: str) -> None:
    assert effort.duration(seconds) == said


def test_needs_follow_tiles_epochs_and_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "speed", lambda: 1e11)
    disk, time = effort.needs("masks", 1000, 256, 1_000_000, 0.6, 30, 2)
    assert disk == "needs: 524 MB of disk for tiles, 0.5 GB of memory"
    assert time.startswith("time: about 14 hours for 2 x 30 epochs on this machine's processor")
    assert effort.needs("slides", 1000, 256, 0, 0.6, 30, 2)[0].startswith("needs: 328 MB of disk")


def test_this_machine_computes() -> None:
    assert effort.speed() > 0
