"""Bring everything up to date, the studies side by side: `lobule repro --jobs 4`, `lobule repro tnbc bach`.

In:  the project: dvc.yaml with its stages named `convert`, and a dvc.yaml and a dvc.lock in each folder of studies/.
Out: what `dvc repro` leaves. First the data, then each study as a `dvc repro` of its own, at last what needs them all.

Studies share no stage but the data's, so DVC lets them run side by side. A study that fails stops no other; the last
step tries it again, since it may have found data busy that another study was reading.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.base.errors import Problem

STUDIES = Path("studies")
POLL = 0.1  # seconds between two looks at what runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("studies", nargs="*", metavar="study", help="these alone; all of studies/ and what needs them")
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cores, metavar="N", help="studies at once (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    if arguments.jobs < 1:
        raise Problem(f"--jobs is {arguments.jobs} and should be at least 1.")
    without_git()
    targets = chosen(arguments.studies)
    if not is_stale(targets if arguments.studies else None):
        print("Everything is up to date.")
        return
    threads = str(max(1, (os.cpu_count() or 1) // arguments.jobs))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the stages' `python` is this one
    environment = {"OMP_NUM_THREADS": threads, **os.environ, "PATH": path}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it, and stages would do so, too
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup it stays ignored
            signal.signal(number, signal.default_int_handler)
    if not arguments.studies:  # else each study makes its own data
        run_all([["--keep-going", "convert"]], 1, environment)
    run_all([[target] for target in targets], arguments.jobs, environment)
    if not run_all([["--keep-going", *(targets if arguments.studies else ["--all-pipelines"])]], 1, environment):
        left = [target for target in targets if is_stale([target])]
        raise Problem(f"{', '.join(left) or 'dvc.yaml'} failed, as said above; mend it and run the same command again.")


def without_git() -> None:
    """Tell DVC that there is no git, where a project was unpacked from an archive: it refuses to work otherwise."""
    from pipeline.health.project import NO_GIT, has_git, knows_no_git

    if not has_git() and not knows_no_git():
        subprocess.run([sys.executable, "-m", *NO_GIT[0].split()], check=True)
        print(f"There is no git here: DVC was told so (`{NO_GIT[0]}`); `dvc exp` needs git.")


def chosen(names: Sequence[str]) -> list[str]:
    """The dvc.yaml of each study of these names, else of all; the one with the most in its dvc.lock first.

    Raises:
        Problem: there is no study of a name.
    """
    found = {path.parent.name: path for path in sorted(STUDIES.glob("*/dvc.yaml"))}
    for name in names:
        if name not in found:
            raise Problem(f"{STUDIES} has no study named {name!r}; it has {', '.join(found) or 'none'}.")
    paths = [found[name] for name in dict.fromkeys(names or found)]
    return [path.as_posix() for path in sorted(paths, key=_length_of_lock, reverse=True)]


def is_stale(targets: Sequence[str] | None) -> bool:
    """Whether DVC would run anything to bring these targets up to date; all of the project where None.

    Raises:
        Problem: DVC cannot read the project, or is at work in it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return bool(repo.status(targets, with_deps=targets is not None))
    except DvcException as error:
        raise Problem(f"DVC cannot tell what is up to date ({error}); `dvc status` may say more.") from None


def run_all(repros: Iterable[Sequence[str]], jobs: int, environment: Mapping[str, str]) -> bool:
    """Run `dvc repro` with each of these arguments, `jobs` at a time and in this order; whether none failed.

    Each is a group of processes of its own: DVC keeps an interruption from the stage that it runs, so that all of the
    group must be told.
    """
    waiting = [[sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *arguments] for arguments in repros]
    running: list[subprocess.Popen[bytes]] = []
    succeeded = True
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(subprocess.Popen(waiting.pop(0), env=environment, start_new_session=True))
            time.sleep(POLL)
            succeeded &= not any(process.poll() for process in running)
            running = [process for process in running if process.returncode is None]
    finally:
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        for process in running:
            process.wait()
    return succeeded


def _length_of_lock(path: Path) -> int:
    lock = path.with_suffix(".lock")
    return lock.stat().st_size if lock.exists() else 0
