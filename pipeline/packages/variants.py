"""The variant that a person wants to give away, and its figures in the report: of these weights, or refused."""

import math
from difflib import get_close_matches

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.base.parquet import read_rows
from pipeline.base.paths import REPORTS
from pipeline.base.records import Metrics, Model
from pipeline.base.study import DetectionStudy, read_study, study_names, variant
from pipeline.metrics.pixel import BACKGROUND
from pipeline.plans.job import Job

LIKE = 0.5  # of two names that may be meant for each other (difflib's ratio)
DIGITS = 1e-6  # relative; scores.csv has ten


def job_of(name: str, run: int | None, seed: int | None) -> Job:
    """The training that STUDY/VARIANT-PLAN names, in a run with a seed (the study's first ones).

    Raises:
        Problem: there is no such variant, or it was not trained here.
    """
    study_name, _, row = name.partition("/")
    variant_name, _, plan = row.rpartition("-")
    if not row or study_name not in study_names():
        known = [each for study in study_names() for each in names_of(study)]
        near = get_close_matches(name, known, cutoff=LIKE)
        cure = f"it may be {' or '.join(near)}" if near else "give one, in the folder of the project that trained it"
        raise Problem(f"{name!r} is no STUDY/VARIANT-PLAN as in reports/STUDY/scores.csv; {cure}.")
    study = read_study(study_name)
    if name not in names_of(study_name):
        raise Problem(f"{study_name} trains no {row}; it trains {', '.join(names_of(study_name))}.")
    encoder, settings = variant(study, variant_name)
    number, first = run or study.runs[0], study.seeds[0] if seed is None else seed
    job = Job(study_name, number, first, variant_name, plan, encoder, settings)
    if not (job.folder / "weights" / "model.json").exists():
        raise Problem(f"{job.folder / 'weights'} holds no model; run `dvc repro` or `dvc pull`, or name another one.")
    return job


def names_of(study: str) -> list[str]:
    """STUDY/VARIANT-PLAN of all that a study trains."""
    settings = read_study(study)
    trained = [*settings.trained(read_params().encoder), *((name, "balanced") for name in settings.classifiers)]
    return [f"{study}/{variant_name}-{plan}" for variant_name, plan in trained]


def figures_of(job: Job, record: Model) -> pd.DataFrame:
    """The rows of the report's intervals.csv of a variant; none of a classifier of tiles, whose scores have none there.

    Raises:
        Problem: the report is missing, or of other weights than these.
    """
    metrics = Metrics.read(job.evaluation / "metrics.json")
    cure = f"run `dvc repro studies/{job.study}/dvc.yaml:report`"
    if metrics.weights_sha256 != record.sha256:
        raise Problem(f"{job.evaluation / 'metrics.json'} is of other weights than {job.folder / 'weights'}; {cure}.")
    tables = {name: REPORTS / job.study / f"{name}.csv" for name in ("scores", "intervals")}
    for path in tables.values():
        if not path.exists():
            raise Problem(f"{path} is missing; {cure}.")
    scores, figures = (_of(pd.read_csv(path), job) for path in tables.values())
    if job.variant in read_study(job.study).classifiers:
        return figures
    row = scores[(scores["run"] == job.run) & (scores["seed"] == job.seed)]
    if row.empty or figures.empty:
        raise Problem(f"{tables['scores']} has no figures of {job.variant}-{job.plan}; {cure}.")
    for score, value in metrics.scores.items():
        if score in row and isinstance(value, float) and not math.isclose(row[score].iloc[0], value, rel_tol=DIGITS):
            raise Problem(f"{tables['scores']} is of another training than {job.folder} ({score} differs); {cure}.")
    return figures


def rare(job: Job) -> list[str]:
    """The classes of which fewer nuclei, or pixels where there are no nuclei, were tested than the report asks for."""
    least, metrics = job.settings.report.min_count, Metrics.read(job.evaluation / "metrics.json")
    if job.task == "tiles":
        return []
    if isinstance(job.settings, DetectionStudy):
        votes = read_rows(job.evaluation / "votes.parquet")
        tested = votes[votes["split"] == "test"].groupby("truth")["nuclei"].sum().to_dict()
        return [name for name in job.settings.classes if name != BACKGROUND and tested.get(name, 0) < least]
    few = []
    for name, found in metrics.scores.get("per_class", {}).items():
        nuclei = found["nuclei"] if job.settings.instances else None
        if (found["pixels"] if nuclei is None else nuclei) < least:
            few.append(name)
    return few


def _of(table: pd.DataFrame, job: Job) -> pd.DataFrame:
    return table[(table["variant"] == job.variant) & (table["plan"] == job.plan)]
