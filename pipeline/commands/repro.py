"""Bring everything up to date, stages side by side: `lobule repro --jobs 4`, `lobule repro tnbc bach`.

In:  the project: dvc.yaml; a dvc.yaml and a dvc.lock in each folder of studies/.
Out: what `dvc repro --keep-going --all-pipelines` leaves.

What a killed DVC left is mended first (pipeline.commands.heal), and another one that is at work is waited for. One
stage at a time is DVC's own work; several are run by pipeline.commands.side_by_side, here or on a cluster.
"""

import argparse
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.base.apart import asked
from pipeline.base.errors import Problem, hear_interruptions
from pipeline.base.params import PARAMS
from pipeline.base.study import STUDIES, read_study, study_names, variant
from pipeline.cluster.asked import add_arguments as add_cluster_arguments
from pipeline.cluster.asked import shares
from pipeline.cluster.work import devices
from pipeline.commands import heal
from pipeline.health.parameters import check_project, check_study

ASKED = ("LOBULE_WORKERS", "LOBULE_DEVICES", "LOBULE_NODES")  # numbers of processes, which stages read
TARGET = re.compile("[/:@.]")  # no name of a study has one, but for a dot
PATIENCE = 20.0  # seconds that an interrupted stage may take to end; then it is killed, which loses nothing but time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets", nargs="*", metavar="target", help="studies, or what `dvc repro` takes (with a / : @ or .); else all"
    )
    add_cluster_arguments(parser, "stages", "cores")


def run(arguments: argparse.Namespace) -> None:
    jobs, threads = shares(arguments)
    targets = chosen(arguments.targets)
    check_parameters()
    for variable in ASKED:
        asked(variable)
    where = None
    if jobs > 1 or arguments.cluster or arguments.scheduler:
        from pipeline.cluster import workers

        where = workers.Where(jobs, arguments.cluster, arguments.scheduler, threads, arguments.stages_a_gpu)
        workers.check(where)  # before another one is waited for
    processes = of_a_training(bool(where), bool(arguments.cluster or arguments.scheduler))
    hear_interruptions()
    with heal.alone():
        without_git()
        if not is_stale(targets):
            print("Everything is up to date.")
            return
        if processes > 1:
            check_batches(targets, processes)
            print(f"Each training takes {processes} processes, as LOBULE_DEVICES and LOBULE_NODES ask for.")
        if where is None:
            run_dvc(targets, threads)
        else:
            from pipeline.commands import side_by_side

            side_by_side.bring_up_to_date(targets, where)


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


def chosen(names: Sequence[str]) -> list[str] | None:
    """DVC's targets: the dvc.yaml of a study for its name, what no name of a study can be as it is; None for all.

    Raises:
        Problem: there is no study of a name.
    """
    found = {path.parent.name: path.as_posix() for path in sorted(STUDIES.glob("*/dvc.yaml"))}
    for name in names:
        if name not in found and not TARGET.search(name):
            raise Problem(f"{STUDIES} has no study named {name!r}; it has {', '.join(found) or 'none'}.")
    return [found.get(name, name) for name in dict.fromkeys(names)] or None


def check_parameters() -> None:
    """Refuse parameters that are wrong as the stage `check` does, before DVC makes stages of what they say.

    Raises:
        Problem: a value of one of the files is, or a study's folder has no name of a study.
    """
    if PARAMS.exists():
        check_project()
    for name in study_names():
        check_study(read_study(name))


def of_a_training(side_by_side: bool, elsewhere: bool) -> int:
    """How many processes a training will take of those that are asked for; 1 where only its worker can know.

    Side by side each has one GPU, where there are any; alone it has all that there are.
    """
    gpus = len(devices())
    if elsewhere or (side_by_side and gpus):
        return 1
    return min(asked("LOBULE_DEVICES"), gpus or sys.maxsize) * asked("LOBULE_NODES")


def check_batches(targets: Sequence[str] | None, processes: int) -> None:
    """Refuse more processes than a training has images in a batch, before any is started.

    Raises:
        Problem: a variant of a study that is asked for has such a batch.
    """
    for name in study_names():
        if targets is not None and not any(target.startswith(f"{STUDIES.as_posix()}/{name}/") for target in targets):
            continue
        study = read_study(name)
        for changed in [study, *(variant(study, each)[1] for each in study.variants)]:
            if changed.train.batch < processes:
                raise Problem(
                    f"LOBULE_DEVICES and LOBULE_NODES ask for {processes} processes, and {STUDIES}/{name}/params.yaml"
                    f" trains with batches of {changed.train.batch} images; ask for as many at most."
                )


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


def run_dvc(targets: Sequence[str] | None, threads: int) -> None:
    """Run `dvc repro`, which goes on where a stage fails.

    It is a group of processes of its own: DVC keeps an interruption from the stage that it runs, so that all of the
    group must be told.

    Raises:
        Problem: something failed; DVC has said what.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--keep-going"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the stages' `python` is this one
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "PATH": path}
    process = subprocess.Popen([*command, *(targets or ["--all-pipelines"])], env=environment, start_new_session=True)
    try:
        code = process.wait()
    finally:
        end(process)
    if code:
        every = [path.as_posix() for path in sorted(STUDIES.glob("*/dvc.yaml"))]
        left = [target for target in targets or every if is_stale([target])]
        raise Problem(f"{', '.join(left) or 'dvc.yaml'} failed, as said above; mend it and run the same command again.")


def end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a group of processes, and kill it if it does not end; a second Ctrl-C kills it at once."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
