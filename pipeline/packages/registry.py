"""A package in MLflow's registry: an artifact of the run that trained it, and a version of its study's model."""

from pathlib import Path

from pipeline.base import tracking
from pipeline.base.errors import Problem
from pipeline.base.records import Model
from pipeline.packages.formats import ONNX
from pipeline.plans.job import Job


def register(job: Job, record: Model, folder: Path) -> str:
    """Register a package under its study's name; return the number of the version.

    Raises:
        Problem: MLflow cannot load the package, or its store fails, which was then said.
    """
    if not (folder / ONNX).exists():
        raise Problem(f"{folder} has no {ONNX}, which MLflow would run; it was written and not registered.")
    key = job.folder.relative_to("models").as_posix()
    tags = {"variant": record.variant, "licence": record.licence, "sample": str(record.sample).lower()}
    with tracking.variant_run(job.study, record.variant, key, weights_sha256=record.sha256) as run:
        version = run.register(job.study, folder, "package", tags)
    if version is None:
        raise Problem(f"{folder} was written and not registered, for the reason above.")
    return version
