"""Kills DVC with all that it runs (SIGKILL), runs `lobule repro`, and compares every output with an undisturbed run's.

Long: the micro project, hours. Short: a project whose stages copy files, a minute. Moments are drawn from a seed, which
LOBULE_SEED sets. For each kill the finished project is put back, what one stage made is taken out of it everywhere, and
the kill falls while DVC makes that again: in the stage, or as soon as DVC writes a file of its own. LOBULE_LAB names a
folder where the finished project is kept for the next call.
"""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from dvc.repo import Repo
from ruamel.yaml import YAML

from tests.commands import project as copying
from tests.torture.micro import make_micro
from tests.torture.table import Log, Row

ROOT = Path(__file__).parents[2]
KILLS = {"stage": 14, "write": 10}  # of each kind in the long form; there are 12 kinds of stages and 4 of writes
SHORT = {"stage": 1, "write": 1}
TRIES = 6  # at a kill, each twice as early as the one before for which DVC was too fast
SEED = os.environ.get("LOBULE_SEED", "1")
LIMIT = 1800  # seconds that a `lobule repro` may take
MACHINE = {"seconds", "images_per_second", "crc32"}  # keys of JSON files that differ from run to run
RUNNING = re.compile(r"^Running stage '(.+)':", re.MULTILINE)
Sign = Callable[[Path], object]  # what changes when DVC writes a file of its own


def newest(pattern: str) -> Sign:
    """The last time at which anything that fits was made or changed, ns."""
    return lambda folder: max((path.stat().st_mtime_ns for path in folder.glob(pattern)), default=0)


WRITES: dict[str, Sign] = {
    "DVC's list of users": lambda folder: (folder / ".dvc/tmp/rwlock").stat().st_size == 0,
    "dvc.lock": newest("**/dvc.lock"),
    "DVC's cache": newest(".dvc/cache/files/md5/*"),
    "DVC's run cache": newest(".dvc/cache/runs/*/*"),
}


@dataclass
class Kind:
    """A kind of kill: while one of these stages is made, or as soon as `sign` changes."""

    row: Row
    count: int
    stages: list[str] = field(default_factory=list)
    sign: Sign | None = None


class Lab:
    """A finished project, to be put back and killed again and again; made in a place, unless it is there already."""

    def __init__(self, place: Path, make: Callable[[Path], object]) -> None:
        self.folder, self.whole, seconds = place / "project", place / "whole", place / "seconds.json"
        if not seconds.exists():
            drop(self.folder)
            self.folder.mkdir(parents=True)
            make(self.folder)
            lasts = self.finish()
            drop(self.whole)
            shutil.copytree(self.folder, self.whole, symlinks=True)
            seconds.write_text(json.dumps(lasts))
        self.lasts: dict[str, float] = json.loads(seconds.read_text())  # seconds of each stage
        self.expected = outputs(self.whole)

    def finish(self) -> dict[str, float]:
        """Run everything undisturbed; the seconds of each stage."""
        with self.start("lobule") as process:
            begun, seen = time.monotonic(), []
            while process.poll() is None:
                for name in RUNNING.findall(self.said())[len(seen) :]:
                    seen.append((name, time.monotonic() - begun))
                time.sleep(0.05)
        assert process.returncode == 0, self.said()
        ends = [*(at for _, at in seen[1:]), time.monotonic() - begun]
        return {name: end - at for (name, at), end in zip(seen, ends, strict=True)}

    def start(self, by: str) -> subprocess.Popen[bytes]:
        """`lobule repro`, with stages side by side or not, or `dvc repro` in the project."""
        words = ["repro", *{"dvc": ["--all-pipelines"], "lobule": ["--jobs", "1"], "jobs": ["--jobs", "2"]}[by]]
        start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pipeline.commands import main; main()"
        python = [sys.executable, *(["-m", "dvc"] if by == "dvc" else ["-c", start])]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONPATH": "", "PYTHONUNBUFFERED": "1"}
        with (self.folder.parent / "said").open("wb") as said:
            return subprocess.Popen(
                [*python, *words], cwd=self.folder, env=environment, start_new_session=True, stdout=said, stderr=said
            )

    def said(self) -> str:
        """What the last one printed."""
        return (self.folder.parent / "said").read_text(encoding="utf-8", errors="replace")

    def put_back(self, stage: str) -> None:
        """The finished project without what a stage made, which goes from lock file, cache, run cache and folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        subprocess.run(["cp", "-a", self.whole, self.folder], check=True)
        file, _, name = stage.rpartition(":")
        lock = self.folder / (file or "dvc.yaml").replace("dvc.yaml", "dvc.lock")
        content = YAML(typ="safe").load(lock)
        removed = content["stages"].pop(name)
        lock.unlink()
        if content["stages"]:
            YAML().dump(content, lock)
        cache = self.folder / ".dvc/cache"
        for out in removed["outs"]:
            drop(self.folder / out["path"])
            stored = cache / "files/md5" / out["md5"][:2] / out["md5"][2:]
            listed = json.loads(stored.read_bytes()) if stored.suffix == ".dir" and stored.exists() else []
            for digest in [out["md5"], *(entry["md5"] for entry in listed)]:
                drop(cache / "files/md5" / digest[:2] / digest[2:])
        for path in cache.glob("runs/*/*/*"):
            if YAML(typ="safe").load(path)["cmd"] == removed["cmd"]:
                drop(path.parent)

    def kill(self, by: str, stage: str, sign: Sign | None, rng: random.Random, share: float) -> bool:
        """Kill it within this share of a stage, or when `sign` changes; whether there was anything left to kill."""
        process = self.start(by)
        before = sign(self.folder) if sign else None
        end = time.monotonic() + LIMIT
        while process.poll() is None and time.monotonic() < end:
            if sign and sign(self.folder) != before:
                time.sleep(rng.choice([0, 0.0005, 0.005]))
                break
            if not sign and f"Running stage '{stage}':" in self.said():
                time.sleep(rng.uniform(0, share * (1.2 * self.lasts[stage] + 0.3)))
                break
            time.sleep(0 if sign else 0.02)
        alive = process.poll() is None
        if alive:
            kill_tree(process)
        process.wait()
        return alive

    def fault(self) -> str | None:
        """Run `lobule repro`; what is not as after an undisturbed run, None where all is."""
        with self.start("lobule") as process:
            try:
                code = process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                kill_tree(process)
                return f"did not end in {LIMIT} s: {self.said()[-300:]}"
        said = self.said()
        if code or "Traceback" in said:
            return f"exit code {code}: {said[-500:]}"
        with Repo(self.folder) as repo:
            if left := repo.status():
                return f"{', '.join(left)} not up to date"
        found = outputs(self.folder)
        names = sorted(name for name in found.keys() | self.expected if found.get(name) != self.expected.get(name))
        return f"{', '.join(names)} differ" if names else None


def run(short: bool, log: Log) -> Iterator[Row]:
    """A row a kind of stage, and one for each file of DVC's own; one kill of every kind, then another of every kind."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(os.environ.get("LOBULE_LAB") or temporary, "short" if short else "long")
        lab = Lab(place, partial(copying.make, studies=["first"]) if short else make_micro)
        counts = SHORT if short else KILLS
        asked = {}
        for stage in lab.lasts:
            kind = re.split("[@-]", stage.rpartition(":")[2])[0]
            asked.setdefault(kind, Kind(log.row("kill", kind), counts["stage"])).stages.append(stage)
        quick = sorted(lab.lasts, key=lab.lasts.__getitem__)[: len(lab.lasts) // 2]
        for name, sign in WRITES.items():
            asked[name] = Kind(log.row("kill", name), counts["write"], quick, sign)
        for number in range(max(counts.values())):
            for kind in asked.values():
                if kind.row.tried <= number < kind.count:
                    kill_one(lab, kind, number)
    yield from (kind.row for kind in asked.values())


def kill_one(lab: Lab, kind: Kind, number: int) -> None:
    """A kill while one of these stages is made."""
    rng = random.Random(f"{SEED} {kind.row.kind} {number}")
    for attempt in range(TRIES):
        stage, by = rng.choice(kind.stages), ("dvc", "jobs", "lobule")[number % 3]
        lab.put_back(stage)
        if lab.kill(by, stage, kind.sign, rng, 0.5**attempt):
            fault = lab.fault()
            kind.row.add(fault and f"kill {number}, {by} in {stage}: {fault}")
            return


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a process and to all that it and they have started, at one moment as far as that goes."""
    try:
        found = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        found = []
    process.send_signal(signal.SIGKILL)
    for child in found:
        if child.is_running():
            child.kill()
    psutil.wait_procs(found, 10)


def outputs(folder: Path) -> dict[str, str]:
    """Digest of everything in a project that is no machine's, no DVC's and no git's own, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not re.match(r"\.git/|\.dvc/|mlflow\.db|mlartifacts/|ran$|began$|.*\.pyc$", name):
            found[name] = hashlib.sha256(essence(path)).hexdigest()
    store = folder / "mlflow.db"
    if store.exists():
        with closing(sqlite3.connect(store)) as database:
            found["mlflow.db"] = str(database.execute("PRAGMA integrity_check").fetchone())
    return found


def essence(path: Path) -> bytes:
    """What of a file is the same in each run."""
    if path.name == "dvc.lock":
        stages = YAML(typ="safe").load(path)["stages"]
        return repr(sorted((name, stage["cmd"], paths(stage)) for name, stage in stages.items())).encode()
    if path.suffix == ".json":
        return json.dumps(without_machine(json.loads(path.read_bytes())), sort_keys=True).encode()
    if path.suffix == ".md":  # without the table of seconds and speeds
        return re.sub(
            rb"^\| model \| plan \| training, s.*?\n\n", b"", path.read_bytes(), flags=re.DOTALL | re.MULTILINE
        )
    return path.read_bytes()


def paths(stage: dict[str, Any]) -> list[str]:
    return [entry["path"] for side in ("deps", "outs") for entry in stage.get(side, []) if "size" in entry]


def without_machine(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_machine(inner) for key, inner in value.items() if key not in MACHINE}
    return [without_machine(inner) for inner in value] if isinstance(value, list) else value


def drop(path: Path) -> None:
    """Remove a file or a folder, which need not be there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
