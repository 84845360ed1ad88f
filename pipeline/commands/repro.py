"""Bring everything up to date, the studies side by side: `lobule repro --jobs 4`, `lobule repro tnbc bach`.

In:  the project: dvc.yaml with its stages `convert` and `convert-own`; a dvc.yaml and a dvc.lock in each folder of
     studies/.
Out: what `dvc repro` leaves. First the data, then each study as a `dvc repro` of its own, at last what needs them all.

What a killed DVC left is mended first (pipeline.commands.heal), and another one that is at work is waited for.
Studies share no stage but the data's, so DVC lets them run side by side. A study that fails stops no other; the last
step tries it again, since it may have found data busy that another study was reading.
"""

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.base.params import PARAMS, read_params
from pipeline.base.study import STUDIES, read_study, study_names
from pipeline.commands import heal

POLL = 0.1  # seconds between two looks at what runs
PATIENCE = 20.0  # seconds that an interrupted stage may take to end; then it is killed, which loses nothing but time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("studies", nargs="*", metavar="study", help="these alone; all of studies/ and what needs them")
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cores, metavar="N", help="studies at once (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    if arguments.jobs < 1:
        raise Problem(f"--jobs is {arguments.jobs} and should be at least 1.")
    targets = chosen(arguments.studies)
    check_parameters()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it, and stages would do so, too
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup it stays ignored
            signal.signal(number, signal.default_int_handler)
    with heal.alone():
        without_git()
        bring_up_to_date(targets, bool(arguments.studies), arguments.jobs)


def bring_up_to_date(targets: Sequence[str], alone: bool, jobs: int) -> None:
    """Run what DVC would run of these studies, `alone` or with what needs them.

    Raises:
        Problem: something failed; DVC has said what.
    """
    if not is_stale(targets if alone else None):
        print("Everything is up to date.")
        return
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the stages' `python` is this one
    environment = {"OMP_NUM_THREADS": threads, **os.environ, "PATH": path}
    if not alone:  # else each study makes its own data
        run_all([["--keep-going", "convert", "convert-own"]], 1, environment)
    run_all([[target] for target in targets], jobs, environment)
    if not run_all([["--keep-going", *(targets if alone else ["--all-pipelines"])]], 1, environment):
        left = [target for target in targets if is_stale([target])]
        raise Problem(f"{', '.join(left) or 'dvc.yaml'} failed, as said above; mend it and run the same command again.")


def without_git() -> None:
    """Tell DVC that there is no git, where a project was unpacked from an archive: it refuses to work otherwise.

    Raises:
        Problem: DVC's configuration cannot be read or written.
    """
    from pipeline.health.project import NO_GIT, has_git, settings

    if has_git() or settings()["core"].get("no_scm"):
        return
    try:
        with settings().edit("local") as local:
            local["core"]["no_scm"] = True
    except OSError as error:
        raise Problem(f".dvc cannot be written ({error.strerror}); give this user the right to write there.") from None
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


def check_parameters() -> None:
    """Refuse a params.yaml that is wrong, before DVC makes stages of what it says.

    Raises:
        Problem: one of the files is, or a study's folder has no name of a study.
    """
    if PARAMS.exists():
        read_params()
    for name in study_names():
        read_study(name)


def is_stale(targets: Sequence[str] | None) -> bool:
    """Whether DVC would run anything to bring these targets up to date; all of the project where None.

    Raises:
        Problem: DVC cannot read the project, or is at work in it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(_wait_for_lock=True) as repo:
            return bool(repo.status(targets, with_deps=targets is not None))
    except sqlite3.DatabaseError as error:
        if not heal.mend_databases():
            raise Problem(f"DVC cannot read its own database ({error}); `lobule doctor` may say more.") from None
        return is_stale(targets)
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
        end_all([process for process in running if process.poll() is None])
    return succeeded


def end_all(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """Interrupt groups of processes, and kill those that do not end; a second Ctrl-C kills them at once."""
    for process in running:
        os.killpg(process.pid, signal.SIGINT)
    end = time.monotonic() + PATIENCE
    for process in running:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            end = 0.0
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _length_of_lock(path: Path) -> int:
    lock = path.with_suffix(".lock")
    return lock.stat().st_size if lock.exists() else 0
