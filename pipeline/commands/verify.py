"""Train a variant again and compare: `lobule verify STUDY/VARIANT-PLAN`.

In:  the project as it stands: its code, parameters, data/, and the report's scores.csv and the study's band.csv.
Out: nothing but what it prints: each score of each run, then and now, and whether they are identical, within the band
     that other seeds have, or outside it. Exit code 1 where a score is outside, or where it differs and has no band.

Everything runs in a copy of the project that is deleted afterwards.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.base.paths import REPORTS, evaluation_folder
from pipeline.base.records import Metrics
from pipeline.base.study import AnyStudy, read_study
from pipeline.base.study import variant as settings_of
from pipeline.reporting import band
from pipeline.reporting.paper import headline
from pipeline.reporting.results import load_variant
from pipeline.reporting.scoring import Evidence
from pipeline.tiles.store import shards

COPIED = ("pipeline", "studies", "params.yaml")
VERDICTS = ("identical", "within the band", "differs, no band measured", "outside the band")  # the best first


@dataclass(frozen=True)
class Check:
    """One score of one run, as the report has it and as it came out again."""

    run: int
    seed: int
    score: str
    before: float
    now: float
    band: band.Band | None

    @property
    def verdict(self) -> str:
        """identical (to the ten digits of scores.csv), within the band, outside the band, or no band."""
        if f"{self.before:.10g}" == f"{self.now:.10g}":
            return "identical"
        if self.band is None:
            return "differs, no band measured"
        return "within the band" if self.band.holds(self.now) else "outside the band"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("variant", metavar="STUDY/VARIANT-PLAN", help="as in reports/STUDY/scores.csv")


def run(arguments: argparse.Namespace) -> None:
    study, name = named_variant(arguments.variant)
    before = reported(study, name)
    print(f"Training {name} of {study.study} again, {len(before)} run(s), in a copy of the project ...")
    now = train_again(study, name, study.runs, study.seeds)
    found = band.read_bands(study.study, name, band.basis(read_params(), study, name, checksums(study)))
    checks = compare(before, now, headline(study).bands, found)
    print(as_text(checks))
    if {check.verdict for check in checks} - {"identical", "within the band"}:
        sys.exit(1)


def named_variant(text: str) -> tuple[AnyStudy, str]:
    """The study and the variant with its plan ("unet-augmented") that a person names as STUDY/VARIANT-PLAN."""
    study, _, name = text.partition("/")
    if not name:
        raise Problem(f"{text!r} names no variant; give STUDY/VARIANT-PLAN, as in reports/STUDY/scores.csv.")
    return read_study(study), name


def reported(study: AnyStudy, name: str) -> pd.DataFrame:
    """The rows of the report's scores.csv of a variant that can be trained."""
    path = REPORTS / study.study / "scores.csv"
    if not path.exists():
        raise Problem(f"{path} is missing; run `dvc repro` first.")
    table = pd.read_csv(path)
    table = table[~table["variant"].isin(study.baselines)]
    names = table["variant"] + "-" + table["plan"]
    if not (names == name).any():
        raise Problem(f"{path} has no variant {name!r} to train again; it has {', '.join(dict.fromkeys(names))}.")
    return table[names == name]


def train_again(study: AnyStudy, name: str, runs: Sequence[int], seeds: Sequence[int]) -> pd.DataFrame:
    """The scores of a variant that is trained, predicted and evaluated in a copy of the project, a row a training."""
    with tempfile.TemporaryDirectory(prefix="lobule-") as temporary:
        folder = Path(temporary)
        copy_project(folder)
        for run, seed in product(runs, seeds):
            rerun(folder, study, name, run, seed)
        return scores_of(folder, study, name, runs, seeds)


def copy_project(folder: Path) -> None:
    """Put the code and the parameters into a folder, and links to the data; models and reports start empty."""
    for name in COPIED:
        copy = shutil.copytree if Path(name).is_dir() else shutil.copy
        copy(name, folder / name)
    (folder / "data").mkdir()
    for source in Path("data").iterdir():
        (folder / "data" / source.name).symlink_to(source.resolve())


def rerun(folder: Path, study: AnyStudy, name: str, run: int, seed: int) -> None:
    """Train a variant in a copy of the project with a seed, predict, and score it.

    First weights that another training of the project wrote are lent, those of the study's first seed where there are
    none of this one.
    """
    variant, _, plan = name.rpartition("-")
    first = settings_of(study, variant)[1].model.weights
    if first.startswith("models/"):
        wanted, lent = Path(first.format(run=run, seed=seed)), Path(first.format(run=run, seed=study.seeds[0]))
        (folder / wanted).parent.mkdir(parents=True)
        (folder / wanted).symlink_to((wanted if wanted.exists() else lent).resolve())
    asked = ("--run", str(run), "--seed", str(seed), "--variant", variant, "--plan", plan)
    for stage in ("train", "predict", "evaluate"):
        run_module(folder, stage, study.study, *asked)


def run_module(folder: Path, stage: str, *arguments: str) -> None:
    """Run a stage in a copy of the project, what it tells MLflow kept in there; its output is shown where it fails."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder.resolve()}/mlflow.db"}
    command = [sys.executable, "-m", f"pipeline.stages.{stage}", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem(f"`python -m pipeline.stages.{stage} {' '.join(arguments)}` failed:\n{done.stdout}{done.stderr}")


def scores_of(folder: Path, study: AnyStudy, name: str, runs: Sequence[int], seeds: Sequence[int]) -> pd.DataFrame:
    """The scores of a variant that was evaluated in a folder, a row a run and seed."""
    variant, _, plan = name.rpartition("-")
    trainings = pd.DataFrame(product(runs, seeds), columns=["run", "seed"])
    if study.task == "detection":
        folders = [folder / evaluation_folder(study.study, *pair, variant, plan) for pair in product(runs, seeds)]
        found = [Metrics.read(each / "metrics.json").scores["test"]["scores"] for each in folders]
        return trainings.join(pd.DataFrame(found))
    own = study.model_copy(update={"runs": list(runs), "seeds": list(seeds)})
    scores = Evidence([load_variant(own, variant, plan, folder)], study.classes, seed=0).by_run()
    return trainings.assign(**{score: values[0] for score, values in scores.items()})


def checksums(study: AnyStudy) -> list[str]:
    """SHA-256 of each of the study's data sets, as the tile store has them."""
    return [shards(name)[0].info.source_sha256 for name in study.datasets]


def compare(before: pd.DataFrame, now: pd.DataFrame, scores: Iterable[str], bands: dict[str, band.Band]) -> list[Check]:
    """Each of the scores of each run, then and now."""
    joined = before.merge(now, on=["run", "seed"], suffixes=("", "_now"), validate="one_to_one")
    return [
        Check(row["run"], row["seed"], score, row[score], row[f"{score}_now"], bands.get(score))
        for _, row in joined.iterrows()
        for score in scores
    ]


def as_text(checks: Sequence[Check]) -> str:
    """A line a score, and the verdict on all of them."""
    lines = [f"{'run':>3} {'seed':>6}  {'score':<26}{'reported':>9}{'now':>9}  {'band':<18}verdict"]
    for check in checks:
        ends = f"{check.band.low:.3f} to {check.band.high:.3f}" if check.band else "none"
        names = f"{check.run:>3} {check.seed:>6}  {check.score:<26}"
        lines.append(f"{names}{check.before:>9.4f}{check.now:>9.4f}  {ends:<18}{check.verdict}")
    worst = max((check.verdict for check in checks), key=VERDICTS.index)
    return "\n".join([*lines, f"In all: {worst}."])
