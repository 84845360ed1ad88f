"""Git and MLflow's store, as the doctor sees them."""

import sqlite3
import subprocess
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.health import project


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    Path(".dvc").mkdir()
    Path(".dvc/config").touch()


def test_a_folder_without_git_is_wrong_until_dvc_knows() -> None:
    found = project.repository()
    assert found.wrong and found.cure == ("dvc config --local core.no_scm true",)
    Path(".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    assert not project.repository().wrong
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert project.repository().cure == ("dvc config --local --unset core.no_scm",)


@pytest.mark.parametrize("content", [b"[core", b"[core]\nfoo = 1\n", b"\xff\xfe"])
def test_a_configuration_that_dvc_cannot_read_is_one_sentence(content: bytes) -> None:
    Path(".dvc/config").write_bytes(content)
    with pytest.raises(Problem, match=r"^\.dvc/config, or config\.local there, cannot be read \(.*\); mend it by hand"):
        project.repository()


def test_a_worktree_has_git(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: elsewhere")
    assert project.has_git()


def test_a_repository_without_a_commit_or_a_name_is_told() -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert "no commit" in project.repository().said
    named = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "--message", "x"]
    subprocess.run(named, check=True)
    found = project.repository()
    assert not found.wrong and "git does not know you" in found.said


def test_a_store_that_cannot_be_read_is_wrong() -> None:
    assert not project.tracking().wrong
    Path("mlflow.db").write_bytes(b"no database" * 100)
    assert project.tracking().wrong and project.tracking().cure[0].startswith("mv mlflow.db mlflow.db.broken")
    Path("mlflow.db").unlink()
    with sqlite3.connect("mlflow.db") as store:
        store.execute("CREATE TABLE runs (id)")
    assert project.tracking().said == "mlflow.db holds 0 runs."
