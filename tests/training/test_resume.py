"""States of a training are kept as often as their cost allows, and one that cannot be written ends nothing."""

from pathlib import Path

import pytest

from pipeline.training.resume import KEPT, ResumeFolder


def test_the_last_states_are_kept(tmp_path: Path) -> None:
    states = ResumeFolder(tmp_path / "unet", {"plan": "a"})
    assert states.newest() is None
    assert states.summary() == "no epoch had ended"
    for epoch in range(1, 12):
        states.write(epoch, lambda path, epoch=epoch: path.write_text(f"state {epoch}"))
    newest = states.newest()
    assert newest is not None and newest.read_text() == "state 11"
    assert len(list(newest.parent.glob("*.ckpt"))) == KEPT
    assert ResumeFolder(tmp_path / "unet", {"plan": "a"}).newest() == newest
    assert states.summary() == "its state after epoch 11 is kept"


@pytest.mark.parametrize("broken", ["", "{", "[]", "3"])
def test_states_of_which_nobody_knows_what_they_are_of_are_not_used(
    broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ResumeFolder(tmp_path, {"plan": "a", "tiles": "b"}).write(1, lambda path: path.write_text("state"))
    (tmp_path / "bound.json").write_text(broken)
    assert ResumeFolder(tmp_path, {"plan": "a", "tiles": "b"}).newest() is None
    assert f"what {tmp_path} kept is of other plan and tiles; " in capsys.readouterr().err


def test_writing_takes_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 100, 100, 101, 105, 121.1])
    monkeypatch.setattr("pipeline.training.resume.time.monotonic", lambda: next(clock))
    states = ResumeFolder(tmp_path, {})
    assert states.is_due()  # the first one, which may cost anything
    states.write(1, lambda path: path.write_text("state"))  # a second
    assert not states.is_due()
    assert states.is_due()


def test_a_state_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def full(path: Path) -> None:
        path.write_text("sta")
        raise OSError("No space left on device")

    states = ResumeFolder(tmp_path, {})
    states.write(1, lambda path: path.write_text("state"))
    states.write(2, full)
    assert "the state after epoch 2 was not kept (No space left on device)" in capsys.readouterr().err
    newest = states.newest()
    assert newest is not None and newest.read_text() == "state"
    assert not list(tmp_path.glob(".*"))
