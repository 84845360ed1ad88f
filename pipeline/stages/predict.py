"""Predict with one variant: `python -m pipeline.stages.predict <study> --run ...`.

In:  the variant's weights/, the study's split.csv, the tile store.
Out: the variant's predictions/, which its task fills (pipeline/tasks/<task>/predict.py).
"""

from pipeline import tasks
from pipeline.base.errors import run_stage
from pipeline.base.files import replacing
from pipeline.models.processor import use_common_kernels
from pipeline.plans.job import read_job


def main() -> None:
    use_common_kernels()
    job = read_job("Predict with one variant of a study.")
    part = tasks.load(job.task, "predict")
    with replacing(job.folder / "predictions") as temporary:
        temporary.mkdir()
        part.predict(job, temporary)


if __name__ == "__main__":
    run_stage(main)
