"""`lobule repro` with stages side by side against one after another: time, and whether both leave the same.

    python -m benchmarks.jobs            # the whole sample in fresh clones of HEAD, an hour
    python -m benchmarks.jobs --micro    # the tests' micro project: one study of two tiny trainings
    python -m benchmarks.jobs --jobs 4
    python -m benchmarks.jobs --slurm    # side by side as jobs of a stand-in for Slurm, too
    python -m benchmarks.jobs --folder FOLDER --only jobs    # one of the ways; what is kept there is compared, too

All run with the same threads a stage (OMP_NUM_THREADS, else 1), so that every table must have the same bytes, and each
dvc.lock the same content but for sizes and hashes of files that tell of time and machine. On a machine with other work
the ratio says little: two processes then get twice the share of one.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.repro_time import LOBULE, clock
from tests.commands.slurm import Slurm
from tests.torture.kills import outputs
from tests.torture.micro import make_micro

TIMES = "seconds.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micro", action="store_true", help="the tests' micro project, not the whole sample")
    parser.add_argument("--jobs", type=int, default=2, help="stages at once (default: %(default)s)")
    parser.add_argument("--slurm", action="store_true", help="as jobs of a stand-in for Slurm, too")
    parser.add_argument("--only", choices=["jobs", "one", "slurm"], help="this way alone")
    parser.add_argument("--folder", type=Path, help="where the clones are made, and stay")
    arguments = parser.parse_args()
    ways = [arguments.only] if arguments.only else ["jobs", "one", *["slurm"] * arguments.slurm]
    with ExitStack() as stack:
        where = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        where.mkdir(exist_ok=True)
        times = where / TIMES
        for way in ways:
            make_project(where / way, arguments.micro)
            seconds = {way: run(way, where, arguments.jobs)}
            times.write_text(json.dumps((json.loads(times.read_text()) if times.exists() else {}) | seconds))
        differ = compare(json.loads(times.read_text()), where)
    sys.exit(bool(differ))


def make_project(folder: Path, micro: bool) -> None:
    if micro:
        begin = folder.parent / "begin"  # one for all, since reports name the commit
        if not begin.exists():
            begin.mkdir()
            make_micro(begin)
        shutil.copytree(begin, folder, symlinks=True)
    else:
        subprocess.run(["git", "clone", "--quiet", Path.cwd(), folder], check=True)


def run(way: str, where: Path, jobs: int) -> float:
    """Seconds that all stages of a project take."""
    environment = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    command = [*LOBULE, "repro", "--jobs", str(1 if way == "one" else jobs)]
    if way != "slurm":
        return clock(command, where / way, environment)
    slurm = Slurm(where / "stand-in")
    try:
        own = {**slurm.environment, **environment, "PYTHONPATH": str((where / way).resolve())}
        return clock([*command, "--cluster", "slurm"], where / way, own)
    finally:
        slurm.end()


def compare(seconds: dict[str, float], where: Path) -> list[str]:
    """Print times and what differs between any two ways; the paths that do."""
    for way, taken in seconds.items():
        print(f"{way}: {taken:.0f} s")
    if {"jobs", "one"} <= seconds.keys():
        print(f"ratio: {seconds['jobs'] / seconds['one']:.2f}, load of the machine: {os.getloadavg()[1]:.1f}")
    found = [outputs(where / way) for way in seconds]
    paths = sorted({path for each in found for path in each})
    differ = [path for path in paths if len({each.get(path) for each in found}) > 1]
    print(f"differ: {', '.join(differ) or 'nothing'}")
    return differ


if __name__ == "__main__":
    main()
