"""Where the time of `lobule repro` goes, by kind of stage: work, imports, and DVC's own part.

    python -m benchmarks.repro_time            # in a fresh clone of HEAD, then again with nothing to do
    python -m benchmarks.repro_time --here     # what the working tree still has to run
    python -m benchmarks.repro_time --jobs 1   # one stage after another: a stage has the machine for itself
    python -m benchmarks.repro_time --papers   # the papers' configuration with nothing to do; runs no stage

With `--jobs 1` it also tells DVC's own part; side by side, stages overlap and it cannot be told. `imports` are those
at the top of the stage's module, measured once each by themselves; what a stage imports later counts as its work.
`DVC` is what lies between a stage's command and the next one of the same process: hashing, caching, writing dvc.lock,
finding what comes next. With `--papers` each output is a line of text that `dvc commit` takes as it is: what is timed
is DVC's own look at every stage, which depends little on how large the outputs are.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

# Stands in for the shell that DVC starts a stage's command with, and notes when it began and ended.
SHELL = """#!{python}
import os, subprocess, sys, time
begin = time.time()
code = subprocess.call(["/bin/sh", *sys.argv[1:]])
with open({times!r}, "a") as file:
    print(os.getppid(), os.environ["DVC_STAGE"], begin, time.time(), sys.argv[-1], sep="\\t", file=file)
sys.exit(code)
"""
COLUMNS = ["process", "stage", "begin", "end", "command"]
LOBULE, DVC = [sys.executable, "-m", "pipeline.commands"], [sys.executable, "-m", "dvc"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--here", action="store_true", help="in the working tree, not in a fresh clone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="stages at once (default: %(default)s)")
    parser.add_argument("--papers", action="store_true", help="the papers' configuration, with nothing to do")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path.cwd() if arguments.here else Path(name) / "lobule"
        if not arguments.here:
            subprocess.run(["git", "clone", "--quiet", Path.cwd(), folder], check=True)
        if arguments.papers:
            print(f"stages of the papers' configuration: {fabricate_papers(folder)}")
            print_nothing_to_do(folder)
            return
        times = Path(name) / "times"
        shell = Path(name) / "sh"
        shell.write_text(SHELL.format(python=sys.executable, times=str(times)))
        shell.chmod(0o755)
        repro = [*LOBULE, "repro", "--jobs", str(arguments.jobs)]
        seconds = clock(repro, folder, {"SHELL": str(shell)})
        print(f"lobule repro --jobs {arguments.jobs}: {seconds:.0f} s")
        if times.exists():
            print(table(pd.read_csv(times, sep="\t", names=COLUMNS), folder, arguments.jobs == 1))
        print_nothing_to_do(folder)


def print_nothing_to_do(folder: Path) -> None:
    """Print the seconds of three calls of each command that finds nothing to do."""
    for name, command in {"lobule": LOBULE, "dvc": DVC}.items():
        seconds = ", ".join(f"{clock([*command, 'repro'], folder):.1f}" for _ in range(3))
        print(f"{name} repro with nothing to do: {seconds} s")


def fabricate_papers(folder: Path) -> int:
    """Set a clone to the papers' configuration and take made-up outputs into its locks; the number of its stages."""
    from dvc.repo import Repo

    clock([*LOBULE, "paper"], folder)
    with Repo(str(folder)) as repo:
        stages = [stage for stage in repo.index.stages if stage.cmd]
    for path in (Path(out.fs_path) for stage in stages for out in stage.outs):
        file = path if path.suffix else path / "file.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{path.relative_to(folder)}\n")
    clock([*DVC, "commit", "--force", "--quiet"], folder)
    return len(stages)


def clock(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> float:
    """Seconds of a command in a folder; what it prints goes to stderr."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, **(environment or {})}, stdout=sys.stderr, check=True)
    return time.perf_counter() - start


def table(stages: pd.DataFrame, folder: Path, in_turn: bool) -> str:
    """A line a kind of stage: how often, seconds of its commands, and what of a run is imports, work and DVC."""
    stages = stages.sort_values("begin", kind="stable")
    stages["kind"] = [kind_of(name) for name in stages["stage"]]
    stages["module"] = stages["command"].str.extract(r"-m (pipeline\.\S+)", expand=False)
    imports = {module: import_seconds(module, folder) for module in stages["module"].dropna().unique()}
    stages["imports"] = stages["module"].map(imports).fillna(0.0)
    stages["seconds"] = stages["end"] - stages["begin"]
    stages["dvc"] = np.nan
    for _, rows in stages.groupby("process") if in_turn else ():
        for (before, first), (_, after) in pairwise(rows.iterrows()):
            stages.loc[before, "dvc"] = after["begin"] - first["end"]
    lines = [f"{'stage':<24}{'runs':>6}{'seconds':>9}{'a run':>8}{'imports':>9}{'work':>8}{'DVC':>8}"]
    everything = [(str(kind), rows) for kind, rows in stages.groupby("kind", sort=False)]
    for kind, rows in [*everything, ("all", stages)]:
        seconds, imported, own = rows["seconds"].mean(), rows["imports"].mean(), rows["dvc"].mean()
        figures = f"{seconds:>8.1f}{imported:>9.1f}{seconds - imported:>8.1f}{'' if pd.isna(own) else f'{own:.1f}':>8}"
        lines.append(f"{kind:<24}{len(rows):>6}{rows['seconds'].sum():>9.1f}{figures}")
    return "\n".join(lines)


def kind_of(stage: str) -> str:
    """`train` of `studies/<name>/dvc.yaml:train@1-42-unet-plain`."""
    return re.sub(r"^.*:|@.*$", "", stage)


def import_seconds(module: str, folder: Path) -> float:
    """Seconds that Python takes to import a module, the second time."""
    command = [sys.executable, "-c", f"import {module}"]
    return [clock(command, folder) for _ in range(2)][-1]


if __name__ == "__main__":
    main()
