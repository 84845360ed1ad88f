"""Kills (SIGKILL) the runner, a worker or a stage of `lobule repro` on a cluster at random moments, and calls it again.

The cluster is a stand-in for Slurm, the project one whose stages copy files and take a moment. Moments are drawn from a
printed seed, which LOBULE_SEED sets. It holds if the next call ends well, with every output and each dvc.lock as
`dvc repro` leaves them.
"""

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests.commands import project
from tests.commands.beside import State, dvc, lobule, said, state
from tests.commands.slurm import Slurm
from tests.torture.kills import SEED, kill_tree
from tests.torture.table import Log, Row

KILLS, SHORT = 7, 1  # of each of the three
LIMIT = 600  # seconds that a call may take
STAGES = 8  # of the project


def run(short: bool, log: Log) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as temporary:
        begin, whole = Path(temporary) / "begin", Path(temporary) / "whole"
        begin.mkdir()
        project.make(begin, ["first", "second"])
        for path in begin.glob("studies/*/dvc.yaml"):
            path.write_text(path.read_text().replace("cp data-bright", "sleep 1 && cp data-bright"))
        shutil.copytree(begin, whole)
        dvc(whole, "repro", "--all-pipelines")
        expected = state(whole)
        for whom in ("runner", "worker", "stage"):
            row = log.row("kill on a cluster", whom)
            for number in range(row.tried, SHORT if short else KILLS):
                place = Path(temporary) / f"{whom}-{number}"
                rng = random.Random(f"{SEED} {whom} {number}")
                shutil.copytree(begin, place / "project")
                row.add(fault(place / "project", Slurm(place / "slurm"), whom, rng, expected))
            yield row


def fault(folder: Path, slurm: Slurm, whom: str, rng: random.Random, expected: State) -> str | None:
    """Kill once and call again; what is not as it should be, None where all is."""
    try:
        with lobule(folder, "repro", "--cluster", "slurm", "--jobs", "2", env=slurm.environment) as process:
            count = rng.randint(0, STAGES)
            while said(folder).count("Running stage") < count and process.poll() is None:
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 1.2))
            kill(process, slurm, whom, rng)
            first = ended(process, f"after the kill of a {whom}", folder)
        if first:
            return first
        with lobule(folder, "repro", "--jobs", "2") as process:
            second = ended(process, "the next call", folder)
        if second or process.returncode:
            return second or f"the next call ended with {process.returncode}: {said(folder)[-500:]}"
    finally:
        slurm.end()
    return None if state(folder) == expected else "outputs or locks differ"


def kill(process: subprocess.Popen[bytes], slurm: Slurm, whom: str, rng: random.Random) -> None:
    """Kill one of them; nothing where there is none at this moment."""
    if whom == "runner":
        process.kill()
        return
    stages = [child for child in slurm.processes() if "DVC_STAGE" in environment(child)]
    found = slurm.workers() if whom == "worker" else stages
    if found:
        with suppress(psutil.NoSuchProcess):
            rng.choice(found).kill()


def ended(process: subprocess.Popen[bytes], what: str, folder: Path) -> str | None:
    """Wait for a call; what is wrong where it does not end."""
    try:
        process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        kill_tree(process)
        return f"{what}: did not end in {LIMIT} s: {said(folder)[-500:]}"
    return None


def environment(process: psutil.Process) -> dict[str, str]:
    with suppress(psutil.Error):
        return process.environ()
    return {}
