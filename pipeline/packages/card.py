"""The model card of a package, README.md: what it is, what it may be used for, how good it is, what it has seen."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.base.records import Model, Seen
from pipeline.base.study import DetectionStudy
from pipeline.datasets import load_card
from pipeline.packages.formats import ONNX, TORCHSCRIPT
from pipeline.packages.networks import OUTPUTS
from pipeline.packages.score_words import OF_NUCLEI, parted, words
from pipeline.packages.variants import rare
from pipeline.plans.job import Job
from pipeline.reporting.markdown import literal
from pipeline.reporting.paper import headline
from pipeline.reporting.rendering import figure, render
from pipeline.reporting.scoring import CONFIDENCE, Figure

TEMPLATE = "card.md.j2"
TRAINING = "train_"  # how scores on the training side begin
LISTED = 40  # names of shards or patients in a row of the card; model.json has all


def card(job: Job, record: Model, figures: pd.DataFrame, left_out: Sequence[str]) -> str:
    """The text of README.md.

    Args:
        figures: rows of intervals.csv.
        left_out: which formats are missing, a sentence each.
    """
    paper = headline(job.settings)
    few, classes = rare(job), record.classes
    of_nuclei = isinstance(job.settings, DetectionStudy) or job.settings.instances is not None
    return render(
        TEMPLATE,
        Path(__file__).parent,
        job=job,
        record=record,
        question=paper.question,
        headline=paper.label,
        figures=[row for _, row in figures.iterrows()],
        intervals=intervals(figures),
        training_side=figures["score"].str.startswith(TRAINING).any(),
        rows=[
            (words(row["score"], classes), "n/a" if is_rare(row["score"], record.task, classes, few) else shown(row))
            for row in figures.to_dict("records")
        ],
        few=few,
        least=f"{job.settings.report.min_count:,} {'nuclei' if of_nuclei else 'pixels'}",
        cards=[load_card(name) for name in record.datasets],
        forbids=forbids_sharing(record.licence),
        left_out=left_out,
        has_onnx=not any(ONNX in sentence for sentence in left_out),
        has_torchscript=not any(TORCHSCRIPT in sentence for sentence in left_out),
        outputs=list(OUTPUTS[record.task]),
        applied=applied(job),
        flips=getattr(job.settings.predict, "flips", False),
        seen=[(part, counted(part)) for part in record.trained_on],
        listed=listed,
    )


def applied(job: Job) -> str:
    """Options of `lobule apply` that the study says, away from it."""
    settings = job.settings
    if isinstance(settings, DetectionStudy):
        return f" --score {settings.predict.score:g}"
    if job.task == "tiles":
        return ""
    if settings.instances is None:
        return " --instances none"
    return f" --instances {settings.instances.method} --minimum-size {settings.instances.minimum_size}"


def intervals(figures: pd.DataFrame) -> list[str]:
    """What the brackets are, a phrase for each number of units that they are over."""
    found = []
    of = figures[["units", "unit"]].assign(training=figures["score"].str.startswith(TRAINING))
    for units, unit, is_training in of.drop_duplicates().itertuples(index=False):
        holds = 1 - 2 * 0.5**units >= CONFIDENCE  # as reports have it
        what = "95 % intervals" if holds else "too few for 95 %, a bootstrap"
        found.append(f"{what} over {units} {literal(unit)}{' on the training side' if is_training else ''}")
    return found


def shown(row: Mapping[Any, Any]) -> str:
    """A row of intervals.csv as reports print a figure."""
    return figure(Figure(row["value"], row["low"], row["high"], row["sd"]))


def is_rare(score: str, task: str, classes: Sequence[str], few: Sequence[str]) -> bool:
    """Whether a score is of a class of which too little was tested."""
    kind, name = parted(score.removeprefix("train_") if task == "detection" else score, classes)
    return name in few and (task != "detection" or kind in OF_NUCLEI)


def forbids_sharing(licence: str) -> bool:
    """Whether a licence, or one of several, lets nothing be passed on that was made of what it covers (Creative
    Commons' "no derivatives")."""
    return "ND" in re.split(r"\W+", licence)


def counted(part: Seen) -> str:
    """How much of a data set was seen."""
    tiles = sum(
        int(high or low) - int(low) + 1 for low, high in re.findall(r"(\d+)(?:-(\d+))?", ",".join(part.tiles.values()))
    )
    return f"{tiles:,} tiles"


def listed(names: Sequence[str]) -> str:
    """Names with commas between them, not more than anybody reads."""
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(literal(name) for name in names[:LISTED]) + more
