"""Time, memory and bytes for git of every stage but training, at the sizes of the papers' data.

    python -m benchmarks.papers_size --folder FOLDER [--scale 0.1] [--studies bcss bracs pannuke]
        [--shrink N] [--skip STAGE ...] [--keep]

Makes a project in FOLDER for each study, with its paper's parameters and with stores, predictions and evaluations made
out of nothing (`benchmarks.papers_data`): BCSS has 57,000 tiles of 224 px with 21 classes, BRACS 200,000 of 512 px from
547 slides, PanNuke all its 7,901 of 256 px in three runs. Each stage runs as DVC runs it, in a process of its own, for
the first run and the first variant; the other variants are copies with other mistakes. `predict` is what surrounds the
network: it reads the test tiles and writes what a network of one convolution makes of them. What is 0 takes no room, so
that a store of 200 GB needs 20.

`--scale` makes a fraction of the tiles, `--shrink` tiles of an N-th of the side; the folder of a study is removed
afterwards unless `--keep` says not to. Seconds are those of this machine with whatever else it does; memory is not.
"""

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks import papers_data
from benchmarks.papers_data import SIZES, evaluation, jobs
from pipeline.base.params import read_params
from pipeline.base.paths import REPORTS, plan_folder
from pipeline.base.study import read_study, variant
from pipeline.plans.job import Job
from pipeline.tiles.plan import read_plan
from tests.command_line import asked
from tests.fabricated import no_leak

ROOT = Path(__file__).resolve().parents[1]
PYTHON = [sys.executable, "-m"]
UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
NATIVE = {"bcss": 1, "bracs": 1, "pannuke": 2}  # px of a tile for each that a model sees
STEP = 32  # px: what a tile_size is a multiple of
PLANNED = ("split", "guard", "balance", "augment")
SKIPPED = (*PLANNED[1:2], "predict")  # what no later stage needs


@dataclass(frozen=True)
class Measured:
    """A stage that was run: its tiles or rows, what it took, and what of it git would keep."""

    study: str
    stage: str
    rows: int
    seconds: float  # of the clock
    work: float  # seconds of a core
    peak: int  # bytes
    git: int  # bytes

    def line(self) -> str:
        figures = f"{self.rows:,} | {self.seconds:.1f} | {self.work:.1f} | {1000 * self.work / self.rows:.2f}"
        git = f"{self.git:,}" if self.git else ""
        return f"| {self.study} | {self.stage} | {figures} | {self.peak / 2**20:,.0f} | {git} |"


COLUMNS = ("study", "stage", "tiles", "seconds", "of a core", "of a core per 1,000", "peak, MiB", "bytes for git")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the projects are made, on a disk with room")
    parser.add_argument("--scale", type=float, default=1.0, help="of the tiles (default: %(default)s)")
    parser.add_argument("--studies", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--shrink", type=int, default=1, help="by which the side of a tile is divided (default: 1)")
    parser.add_argument("--skip", nargs="*", choices=SKIPPED, default=[], help="stages that are not run")
    parser.add_argument("--keep", action="store_true", help="leave the projects where they are")
    parser.add_argument("--predict", metavar="STUDY", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.predict:
        predict(arguments.predict)
        return
    if not arguments.folder:
        parser.error("give --folder, on a disk with room")
    print(f"| {' | '.join(COLUMNS)} |\n|---|---|{'--:|' * (len(COLUMNS) - 2)}", flush=True)
    for study in arguments.studies:
        folder = arguments.folder.resolve() / study
        folder.mkdir(parents=True)
        try:
            for found in measure(study, folder, arguments.scale, arguments.shrink, arguments.skip):
                print(found.line(), flush=True)
        finally:
            if not arguments.keep:
                shutil.rmtree(folder)


def measure(study: str, folder: Path, scale: float, shrink: int, skip: Iterable[str]) -> Iterable[Measured]:
    """Make a study's project and run its stages, one after the other; leaves the working directory there."""
    make_project(study, folder, shrink)
    os.chdir(folder)
    settings = read_study(study)
    side = settings.tile_size * NATIVE[study]
    apart(partial(papers_data.write_store, study, scale, side))
    encoder = read_params().joining(settings)
    run, seed = settings.runs[0], settings.seeds[0]
    for stage in PLANNED:
        if stage in skip:
            no_leak(study, len(split_of(study, run))).write(plan_folder(study, run) / "leaks.json")
            continue
        yield replace(measured(study, stage, [study, "--run", str(run)]), rows=len(split_of(study, run)))
    for other in settings.runs[1:]:
        for stage in PLANNED:
            if stage == "guard":
                shutil.copy(plan_folder(study, run) / "leaks.json", plan_folder(study, other))
            else:
                measured(study, stage, [study, "--run", str(other)])

    plan = split_of(study, run)["split"]
    tested = int(plan.isin(["test", *settings.predict.splits]).sum())
    trained = list(jobs(settings, encoder))
    if "predict" not in skip:
        found = measured(study, "predict", [], [*PYTHON, "benchmarks.papers_size", "--predict", study])
        yield replace(found, rows=int((plan == "test").sum()))
    firsts: dict[int, Job] = {}
    for number, job in enumerate(trained):
        if job.run not in firsts:
            firsts[job.run] = job
            apart(partial(papers_data.write_predictions, job, side))
            found = measured(study, "evaluate", asked(study, job.run, job.seed, job.variant, job.plan))
            shutil.rmtree(job.folder / "predictions")
            if job.run == run:
                yield replace(found, rows=tested)
        else:
            apart(partial(papers_data.copy_evaluation, evaluation(firsts[job.run]), job, number))
    for name in settings.classifiers[:1]:
        job = Job(study, run, seed, name, "balanced", *variant(settings, name))
        apart(partial(papers_data.write_classified, job))
        found = measured(study, "evaluate-tiles", asked(study, run, seed, name, "balanced"))
        yield replace(found, rows=len(plan))
    for name in settings.baselines:
        for each in settings.runs:
            found = measured(study, f"evaluate {name}", asked(study, each, seed, name, "plain"))
            if each == run:
                yield replace(found, rows=tested)
    found = measured(study, "report", [study])
    kept = [REPORTS / f"{study}.md", *(path for path in (REPORTS / study).rglob("*") if path.is_file())]
    yield replace(
        found, rows=tested * (len(trained) + len(settings.baselines)), git=sum(p.stat().st_size for p in kept)
    )
    for path in sorted(kept, key=lambda path: -path.stat().st_size)[:4]:
        print(f"    {path}: {path.stat().st_size:,} bytes", file=sys.stderr, flush=True)


def make_project(study: str, folder: Path, shrink: int) -> None:
    """Parameters and studies, as `lobule paper` sets them, with all tissues, and tiles of an N-th of the side."""
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "studies", folder / "studies")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [*PYTHON, "pipeline.commands", "paper", study]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    path = folder / "studies" / study / "params.yaml"
    params = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    params |= {"group": "all", "tile_size": max(STEP, params["tile_size"] // shrink // STEP * STEP)}
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(params, file)


def split_of(study: str, run: int) -> Any:
    return read_plan(plan_folder(study, run) / "split.csv")


def apart(work: Callable[[], None]) -> None:
    """Do something in a process of its own: what this one holds would count as the stages' memory."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit("the data could not be made")


def measured(study: str, stage: str, words: list[str], command: list[str] | None = None) -> Measured:
    """Run a stage in the working directory as DVC does."""
    command = command or [*PYTHON, f"pipeline.stages.{stage.partition('-')[0].partition(' ')[0]}", *words]
    start = time.perf_counter()
    with Path("stages.log").open("a", encoding="utf-8") as log:
        child = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=log, stderr=log)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        said = Path("stages.log").read_text(encoding="utf-8")[-2000:]
        sys.exit(f"{said}\n{stage} of {study} ended with exit code {child.returncode}")
    seconds, work = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    return Measured(study, stage, 1, seconds, work, usage.ru_maxrss * UNIT, 0)


def predict(study: str) -> None:
    """Read the test tiles of the first run, and write what a network of one convolution makes of them."""
    import torch

    from pipeline.tasks.segmentation.predict import Predictor, write_maps
    from pipeline.tiles.examples import Examples

    settings: Any = read_study(study)
    rows = split_of(study, settings.runs[0]).query("split == 'test'")
    model = Predictor(torch.nn.Conv2d(3, len(settings.classes), 1), [0.5] * 3, [0.5] * 3).eval()
    path = Path("predicted.h5")
    write_maps(model, Examples.of(rows, settings), path, settings.classes, settings.predict, torch.device("cpu"))
    path.unlink()


if __name__ == "__main__":
    main()
