"""What DVC keeps is looked at: a flipped bit in an output or in the cache is seen, and it is said what to type."""

from pathlib import Path

import pytest

from pipeline.health import Finding, storage
from tests.torture.corruption import keep, rewrite


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an output, their lock and their cache."""
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/a.csv").write_text("1,2\n")
    keep(tmp_path)
    return tmp_path


def wrong(folder: Path) -> list[Finding]:
    return [finding for finding in storage.examine(folder) if finding.wrong]


def test_what_is_whole_is_well(folder: Path) -> None:
    assert [finding.what for finding in storage.examine(folder)] == ["locks", "cache", "outputs"]
    assert wrong(folder) == []


def test_a_changed_output_and_a_damaged_object_are_removed_and_made_again(folder: Path) -> None:
    rewrite(folder / "outputs/a.csv", b"1,2\n", 3)
    (found,) = wrong(folder)
    assert found.cure == (f"rm -rf {folder}/outputs", "dvc repro")
    (folder / "outputs/a.csv").write_text("1,2\n")
    first = next(storage.objects_of(folder / ".dvc/cache/files/md5"))
    rewrite(first, first.read_bytes(), 5)
    (found,) = wrong(folder)
    assert "1 of 2 objects in the cache and 0 outputs" in found.said
    assert found.cure[0] == f"rm -rf {first}"


def test_a_missing_output_is_not_wrong(folder: Path) -> None:
    (folder / "outputs/a.csv").unlink()
    (folder / "outputs").rmdir()
    assert wrong(folder) == []
    assert [finding.cure for finding in storage.examine(folder)][-1] == ("dvc repro",)


def test_torn_locks_and_notes_are_told(folder: Path) -> None:
    (folder / ".dvc/tmp").mkdir()
    (folder / ".dvc/tmp/rwlock").write_text('{"a": ')
    (folder / "dvc.lock").write_text("stages: [")
    torn = wrong(folder)
    assert [finding.cure for finding in torn] == [
        (f"git checkout {folder}/dvc.lock", "dvc repro"),
        (f"rm {folder}/.dvc/tmp/rwlock", "lobule repro"),
    ]
