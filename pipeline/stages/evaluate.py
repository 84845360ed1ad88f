"""Score a variant in one run with one seed: `python -m pipeline.stages.evaluate <study> --run ...`.

In:  the variant's predictions/ and training/ (a baseline has neither), split.csv, the tile store.
Out: models/<study>/evaluation/run<r>/seed<s>/<variant>-<plan>/, which its task fills (pipeline/tasks/<task>/score.py).

NumPy and SciPy: this imports no torch, so a change to a metric costs seconds and needs no GPU.
"""

from pipeline import tasks
from pipeline.base.errors import run_stage
from pipeline.base.files import replacing
from pipeline.plans.job import read_job


def main() -> None:
    job = read_job("Score one variant of a study in one run with one seed.")
    part = tasks.load(job.task, "score")
    with replacing(job.evaluation) as temporary:
        temporary.mkdir()
        part.score(job, temporary)


if __name__ == "__main__":
    run_stage(main)
