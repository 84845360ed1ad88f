"""What surrounds the project: git, and the store of MLflow."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.base.errors import Problem
from pipeline.base.tracking import git
from pipeline.health import Finding

NO_GIT = ("dvc config --local core.no_scm true",)


def examine() -> Iterator[Finding]:
    """Git and tracking."""
    yield repository()
    yield tracking()


def has_git(folder: Path | None = None) -> bool:
    """Whether a folder lies in a git repository; in a worktree .git is a file."""
    here = (folder or Path()).resolve()
    return any((each / ".git").exists() for each in (here, *here.parents))


def settings(root: Path | None = None) -> Any:
    """DVC's configuration of the project in a folder, a `dvc.config.Config`.

    Raises:
        Problem: it cannot be read, or has keys that DVC does not know.
    """
    from dvc.config import Config, ConfigError

    folder = (root or Path()) / ".dvc"
    try:
        return Config(dvc_dir=str(folder))
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise Problem(f"{folder}/config, or config.local there, cannot be read ({error}); mend it by hand.") from None


def repository() -> Finding:
    knows_no_git = settings()["core"].get("no_scm")
    if not has_git():
        if knows_no_git:
            return Finding("git", "there is no git here, and DVC knows: `dvc repro` works, `dvc exp` does not.")
        return Finding("git", "this is no git repository, and DVC refuses to work in it.", True, NO_GIT)
    if knows_no_git:
        said = "this is a git repository, but DVC was told that there is none: `dvc exp` does not work."
        return Finding("git", said, cure=("dvc config --local --unset core.no_scm",))
    commit = git("rev-parse", "--short", "HEAD")
    if not commit:
        return Finding(
            "git", "the repository has no commit yet.", cure=("git add --all", "git commit --message 'As it came'")
        )
    if not git("config", "user.name") or not git("config", "user.email"):
        said = f"commit {commit}; git does not know you: `dvc exp run` and `git commit` need a name."
        return Finding("git", said, cure=("git config user.name 'Your Name'", "git config user.email you@example.org"))
    return Finding("git", f"commit {commit}{' with changes' if git('status', '--porcelain') else ''}.")


def tracking() -> Finding:
    """The store of MLflow: a file of SQLite is read, the address of a server is asked."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if uri.startswith(("http://", "https://")):
        import requests

        try:
            requests.get(f"{uri.rstrip('/')}/health", timeout=4).raise_for_status()
        except requests.RequestException as error:
            said = f"the server of MLFLOW_TRACKING_URI does not answer ({type(error).__name__}); none is needed."
            return Finding("tracking", said, cure=("unset MLFLOW_TRACKING_URI",))
        return Finding("tracking", "the server of MLFLOW_TRACKING_URI answers.")
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///"):
        return Finding("tracking", "the store of MLFLOW_TRACKING_URI is asked by the next training.")
    if not path.exists():
        return Finding("tracking", f"{path} is made by the next training.")
    try:
        with sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=4) as store:
            said = store.execute("PRAGMA quick_check").fetchone()[0]
            runs = store.execute("SELECT count(*) FROM runs").fetchone()[0]
    except sqlite3.Error as error:
        said, runs = str(error), 0
    if said != "ok":
        cure = (f"mv {path} {path}.broken  # no result needs it; the next training makes a new one",)
        return Finding(
            "tracking", f"{path} cannot be read ({said.splitlines()[0]}): trainings go on without it.", True, cure
        )
    return Finding("tracking", f"{path} holds {runs:,} runs.")
