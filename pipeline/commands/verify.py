"""Train a variant again and compare: `make verify VARIANT=unet-augmented`, or `lobule verify unet-augmented`.

In:  the project as it stands: its code, params.yaml, data/, and the report's scores.csv and band.csv.
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
from pathlib import Path

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.files import read_json
from pipeline.base.params import read_params
from pipeline.base.paths import BASELINES, IMAGE_BASELINES, evaluation_folder
from pipeline.reporting import band
from pipeline.reporting.results import load_variant
from pipeline.reporting.scoring import Evidence

COPIED = ("pipeline", "params.yaml")
DEFAULT = "unet-augmented"
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
    parser.add_argument("variant", nargs="?", default=DEFAULT, help="encoder-augmentation, such as %(default)s")
    parser.add_argument("--study", default="pannuke", help="(default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    study, variant = arguments.study, arguments.variant
    before = reported(study, variant)
    print(f"Training {variant} of {study} again, {len(before)} run(s), in a copy of the project ...")
    with tempfile.TemporaryDirectory(prefix="lobule-verify-") as temporary:
        copy_project(Path(temporary))
        rerun(Path(temporary), study, variant, zip(before["run"], before["seed"], strict=True))
        now = scores_of(Path(temporary), study, variant)
    found = band.read_bands(study, variant, band.basis(read_params(), study, variant, checksums(study)))
    checks = compare(before, now, band.SCORES[study], found)
    print(as_text(checks))
    if {check.verdict for check in checks} - {"identical", "within the band"}:
        sys.exit(1)


def reported(study: str, variant: str) -> pd.DataFrame:
    """The rows of the report's scores.csv of a variant that can be trained."""
    encoder, _, augmentation = variant.rpartition("-")
    path = Path("reports") / study / "scores.csv"
    if not path.exists():
        raise Problem(f"{path} is missing; run `dvc repro` first.")
    table = pd.read_csv(path)
    table = table[~table["encoder"].isin([*BASELINES, *IMAGE_BASELINES])]
    mine = table[(table["encoder"] == encoder) & (table["augmentation"] == augmentation)]
    if not len(mine):
        known = ", ".join(dict.fromkeys(table["encoder"] + "-" + table["augmentation"]))
        raise Problem(f"{path} has no variant {variant!r} to train again; it has {known}.")
    return mine


def copy_project(folder: Path) -> None:
    """Put the code and params.yaml into a folder, and links to the data; models and reports start empty."""
    for name in COPIED:
        copy = shutil.copytree if Path(name).is_dir() else shutil.copy
        copy(name, folder / name)
    (folder / "data").mkdir()
    for source in Path("data").iterdir():
        (folder / "data" / source.name).symlink_to(source.resolve())


def rerun(folder: Path, study: str, variant: str, trainings: Iterable[tuple[int, int]]) -> None:
    """Train each run and seed of a variant in a copy of the project, predict, and evaluate them."""
    encoder, _, augmentation = variant.rpartition("-")
    _, described = read_params(folder / "params.yaml").study(study).of(encoder)
    kind = "_detector" if described.detector else ""  # the stages of a study of detectors end in it
    first = Path(described.model.weights)
    if first.is_relative_to("models"):  # of the study's classifier, which stays as it is
        (folder / first).parent.mkdir(parents=True)
        (folder / first).symlink_to(first.resolve())
    for run, seed in trainings:
        for stage in ("train", "predict"):
            run_module(folder, stage + kind, study, str(run), encoder, augmentation, "--seed", str(seed))
    run_module(folder, f"evaluate{kind}", study, encoder, augmentation)


def run_module(folder: Path, stage: str, *arguments: str) -> None:
    """Run a stage in a copy of the project, what it tells MLflow kept in there; its output is shown where it fails."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder.resolve()}/mlflow.db"}
    command = [sys.executable, "-m", f"pipeline.stages.{stage}", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem(f"`python -m pipeline.stages.{stage} {' '.join(arguments)}` failed:\n{done.stdout}{done.stderr}")


def scores_of(folder: Path, study: str, variant: str) -> pd.DataFrame:
    """The scores of a variant that was evaluated in a folder, a row a run and seed."""
    encoder, _, augmentation = variant.rpartition("-")
    described = read_params(folder / "params.yaml").study(study)
    evaluation = folder / evaluation_folder(study, encoder, augmentation)
    if described.detector:
        record = read_json(evaluation / "metrics.json")
        values = {name: figure["value"] for name, figure in record["sides"]["test"]["scores"].items()}
        return pd.DataFrame([{"run": record["run"], "seed": record["seed"], **values}])
    found = load_variant(evaluation, encoder, augmentation)
    scores = Evidence([found], described.classes, seed=0).by_run()
    named = pd.DataFrame(found.runs)[["run", "seed"]]
    return named.assign(**{name: values[0] for name, values in scores.items()})


def checksums(study: str) -> list[str]:
    """SHA-256 of each of the study's data sets, as they lie in data/."""
    names = read_params().study(study).datasets
    return [read_json(Path("data/raw") / name / "SOURCE.json")["sha256"] for name in names]


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
