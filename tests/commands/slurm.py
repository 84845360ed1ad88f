"""A stand-in for Slurm: `sbatch`, `squeue` and `scancel`, which start and end processes of this machine.

Dask is told of it as the documentation tells a user to.
"""

import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.fabricated import ROOT

SBATCH = """
import os, subprocess, sys
from pathlib import Path
jobs = Path({jobs!r})
words = sys.argv[1:]
text = Path(words[-1]).read_text() if words else sys.stdin.read()
number = 1
while True:
    try:
        (jobs / str(number)).mkdir()
        break
    except FileExistsError:
        number += 1
job = jobs / str(number)
(job / "script").write_text(text)
environment = dict(os.environ, SLURM_JOB_ID=str(number), SLURM_SUBMIT_DIR=os.getcwd())
with (job / "said").open("wb") as said:
    process = subprocess.Popen(
        ["bash", str(job / "script")], env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        start_new_session=True,
    )
(job / "pid").write_text(str(process.pid))
print("Submitted batch job", number)
"""
SQUEUE = """
import os
from pathlib import Path
print("JOBID ST")
for job in sorted(Path({jobs!r}).iterdir()):
    try:
        os.killpg(int((job / "pid").read_text()), 0)
        print(job.name, "R")
    except (OSError, ValueError):
        pass
"""
SCANCEL = """
import os, signal, sys, time
from pathlib import Path
for name in sys.argv[1:]:
    group = int((Path({jobs!r}) / name / "pid").read_text())
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            break
        time.sleep(2)
"""


def documented(kind: str) -> str:
    """The script (sh) of the documentation that runs stages as jobs, or its configuration (yaml)."""
    page = (ROOT / "docs/how-to/run-on-slurm.md").read_text(encoding="utf-8")
    found = re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)
    return str(found[0])


class Slurm:
    """Programs in a folder, which `environment` puts first on PATH, and the jobs that they started."""

    def __init__(self, folder: Path) -> None:
        self.jobs = folder / "jobs"
        programs, config = folder / "bin", folder / "dask"
        for made in (self.jobs, programs, config):
            made.mkdir(parents=True)
        for name, text in {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": SCANCEL}.items():
            (programs / name).write_text(f"#!{sys.executable}\n{text.format(jobs=str(self.jobs))}")
            (programs / name).chmod(0o755)
        (config / "jobqueue.yaml").write_text(documented("yaml"))
        self.environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "DASK_CONFIG": str(config),
            "DASK_JOBQUEUE__SLURM__INTERFACE": "lo",
            "DASK_JOBQUEUE__SLURM__LOCAL_DIRECTORY": str(folder / "local"),
            "DASK_JOBQUEUE__SLURM__SCHEDULER_OPTIONS": "{'dashboard_address': ':0'}",
            "PYTHONPATH": str(ROOT),
        }

    def processes(self) -> list[psutil.Process]:
        """What runs of all jobs."""
        found = []
        for file in self.jobs.glob("*/pid"):
            with suppress(psutil.NoSuchProcess, ValueError):
                process = psutil.Process(int(file.read_text()))
                found += [process, *process.children(recursive=True)]
        return found

    def workers(self) -> list[psutil.Process]:
        """The processes that run tasks: those that a nanny has started."""
        return [process for process in self.processes() if "spawn_main" in " ".join(_words(process))]

    def said(self) -> str:
        """What all jobs printed."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.jobs.glob("*/said")))

    def end(self) -> None:
        """Kill what is left."""
        for _ in range(3):
            for process in self.processes():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
            time.sleep(0.1)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
