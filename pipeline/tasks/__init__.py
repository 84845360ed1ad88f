"""The tasks: how each learns, predicts, scores and reports.

A task is a folder with the modules

    learn      prepare(job) -> pipeline.training.job.Lesson       what is trained, and on what
    predict    predict(job, folder)                               writes the files of `predictions/`
    score      score(job, folder)                                 writes the files of the evaluation, and returns none
    report     write(study, params)                               writes the report of all variants, runs and seeds

of which a stage imports the one that it needs: training wants torch, scoring must not.
"""

import importlib
from typing import Any


def load(task: str, part: str) -> Any:
    """The module of a task: learn, predict, score or report."""
    return importlib.import_module(f"pipeline.tasks.{task}.{part}")
