"""The model card of a package, README.md: what it is, what it may be used for, how good it is, what it has seen."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.base.records import Model, Seen
from pipeline.datasets import load_card
from pipeline.packages.formats import ONNX, TORCHSCRIPT
from pipeline.packages.networks import OUTPUTS
from pipeline.plans.job import Job
from pipeline.reporting.markdown import code, literal
from pipeline.reporting.paper import headline
from pipeline.reporting.rendering import figure

TEMPLATES = Path(__file__).parent
LISTED = 40  # names of shards or patients in a row of the card; model.json has all


def card(job: Job, record: Model, figures: pd.DataFrame, left_out: Sequence[str]) -> str:
    """The text of README.md.

    Args:
        figures: rows of intervals.csv.
        left_out: which formats are missing, a sentence each.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # what comes out is Markdown: names from outside go through `literal` or `code`
    )
    environment.filters |= {"literal": literal, "code": code, "figure": figure, "listed": listed}
    paper = headline(job.settings)
    return environment.get_template("card.md.j2").render(
        job=job,
        record=record,
        question=paper.question,
        headline=paper.score,
        figures=[row for _, row in figures.iterrows()],
        cards=[load_card(name) for name in record.datasets],
        forbids=forbids_sharing(record.licence),
        left_out=left_out,
        has_onnx=not any(ONNX in sentence for sentence in left_out),
        has_torchscript=not any(TORCHSCRIPT in sentence for sentence in left_out),
        outputs=list(OUTPUTS[record.task]),
        flips=getattr(job.settings.predict, "flips", False),
        seen=[(part, counted(part)) for part in record.trained_on],
    )


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
