"""Train one variant of a study: `python -m pipeline.stages.train <study> --run ...`.

In:  the plan data/plans/<study>/run<r>/<plan>.csv (its train and validation rows) and the tile store; for a variant
     that starts from another one's weights, these.
Out: the variant's weights/: model.safetensors (lowest validation loss, or the last where `train.patience` is none) and
     model.json; and training/: curves.csv (a row an epoch), training.json. Parameters and figures go to MLflow as they
     come.

An interrupted training goes on, when run again, from its state in models/.resume/ (see pipeline.training.resume).
LOBULE_DEVICES and LOBULE_NODES have several processes train (see pipeline.training.processes).
"""

import time

from pipeline import tasks
from pipeline.base.errors import run_stage
from pipeline.models.processor import use_common_kernels
from pipeline.plans.job import read_job
from pipeline.training.processes import spread


def main() -> None:
    started = time.monotonic()
    use_common_kernels()
    job = read_job("Train one variant of a study.")
    spread()
    from pipeline.training.job import train  # takes seconds, for which who starts others does not wait
    from pipeline.training.peers import together

    with together() as peers:
        with peers.first_alone():
            lesson = tasks.load(job.task, "learn").prepare(job)
        lesson.learner.peers = peers
        train(job, lesson, started)


if __name__ == "__main__":
    run_stage(main)
