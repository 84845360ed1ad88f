"""Outputs appear whole or not at all."""

from pathlib import Path

import pytest

from pipeline.base.files import read_json, replacing, write_json


def test_json_survives_its_file(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"µm": [1, None, 2.5]})
    assert read_json(tmp_path / "deep" / "a.json") == {"µm": [1, None, 2.5]}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(ValueError), replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        raise ValueError
    assert [p.name for p in path.iterdir()] == ["old"]


def test_a_folder_replaces_a_folder_and_what_a_killed_stage_left(tmp_path: Path) -> None:
    path = tmp_path / "out"
    for folder in (path, tmp_path / ".out.partial"):
        folder.mkdir()
        (folder / "old").touch()
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [p.name for p in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]
