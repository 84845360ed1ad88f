"""What `lobule new` reads and writes of a project, with a study to copy from."""

import shutil
from pathlib import Path

import pytest

from tests import fabricated

FILES = ("params.yaml", "dvc.yaml", "studies/stages.dvc.yaml", "studies/bcss/params.yaml")


def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Such a project, which becomes the working directory."""
    folder = tmp_path / "project"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(fabricated.ROOT / name, folder / name)
    monkeypatch.chdir(folder)
    return folder
