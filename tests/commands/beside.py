"""`lobule repro --jobs` as a process of its own, and what it leaves; a scheduler that runs already."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.commands import project
from tests.torture.kills import outputs

State = tuple[dict[str, str], dict[str, Any]]  # digests of outputs, and what each dvc.lock says


def lobule(folder: Path, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    """`lobule` in the project; what it says goes into `said` beside the project."""
    start = f"import sys; sys.path.insert(0, {str(project.ROOT)!r}); from pipeline.commands import main; main()"
    with (folder.parent / "said").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-c", start, *words],
            cwd=folder,
            stdout=said,
            stderr=said,
            start_new_session=True,
            **options,
        )


@contextmanager
def running_scheduler(threads: int) -> Iterator[str]:
    """The address of a scheduler in this process, with one worker of so many threads."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=threads, processes=False, protocol="tcp://", dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def said(folder: Path) -> str:
    return (folder.parent / "said").read_text()


def repro(folder: Path, *words: str) -> str:
    """`lobule repro`, which must not fail; what it said."""
    with lobule(folder, "repro", *(words or ("--jobs", "2"))) as process:
        assert process.wait() == 0, said(folder)
    return said(folder)


def dvc(folder: Path, *words: str) -> str:
    return project.run(folder, "-m", "dvc", *words).stdout


def locks(folder: Path) -> dict[str, Any]:
    """What each dvc.lock says."""
    found = {path.relative_to(folder).as_posix(): YAML(typ="safe").load(path) for path in folder.rglob("dvc.lock")}
    assert found
    return found


def state(folder: Path) -> State:
    """Every output, and what each dvc.lock says."""
    found = outputs(folder)
    return {name: digest for name, digest in found.items() if Path(name).name != ".gitignore"}, locks(folder)
