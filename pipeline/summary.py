"""Write the front page of the reports: `python -m pipeline.summary`.

In:  scores.csv and curves.csv of every study's report, published.csv.
Out: reports/README.md, one row a study; reports/metrics.json, the headline figures of the top-level `encoder`
     (for `dvc metrics` and `dvc exp show`); reports/curves.csv, its learning curves (for `dvc plots`).
     Nothing in them depends on the machine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import Problem, run_stage
from pipeline.files import replacing, write_json, write_text
from pipeline.metrics import pixel
from pipeline.params import read_params
from pipeline.reporting.published import Published
from pipeline.reporting.rendering import render

REPORTS = Path("reports")
ENCODER_STUDY = "pannuke"  # the study that the top-level `encoder` joins
HEADLINES = ("mean_iou", "mean_iou_no_background", "dice_micro", "dice_macro")
CURVES = ("train_loss", "validation_loss", "validation_mean_iou")


@dataclass(frozen=True)
class FrontRow:
    """How a study is told in one row."""

    study: str
    question: str
    metric: str  # the column of scores.csv that ranks its variants
    label: str
    table: str  # where published.csv has the paper's figures of it
    printed: str  # and under which name


FRONT = (
    FrontRow("pannuke", "which encoder finds and tells apart nuclei", "mean_iou", "mean IoU", "Table 3", "mean_iou"),
)


def main() -> None:
    encoder = read_params().encoder
    scores = {row.study: read_table(row.study, "scores") for row in FRONT}
    write_text(
        REPORTS / "README.md",
        render(
            "summary.md.j2",
            rows=[front_row(row, scores[row.study]) for row in FRONT],
            encoder=encoder,
            headlines=headlines(scores[ENCODER_STUDY], encoder),
        ),
    )
    write_json(REPORTS / "metrics.json", {"encoder": encoder, ENCODER_STUDY: headlines(scores[ENCODER_STUDY], encoder)})
    with replacing(REPORTS / "curves.csv") as temporary:
        curves = wide_curves(read_table(ENCODER_STUDY, "curves"), encoder)
        curves.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")


def read_table(study: str, name: str) -> pd.DataFrame:
    """A table that a study's report wrote."""
    path = REPORTS / study / f"{name}.csv"
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise Problem(f"{path} is missing; run `dvc repro report@{study}`.") from None


def front_row(row: FrontRow, scores: pd.DataFrame) -> dict[str, Any]:
    """A study's best variant beside the highest figure that its paper prints."""
    published = Published.of(row.study)
    best = scores.sort_values(row.metric, ascending=False, kind="stable").iloc[0]
    name, value = published.highest(row.table, row.printed)
    return {
        "study": row.study,
        "question": row.question,
        "sample": best["source"] == "sample",
        "label": row.label,
        "best": f"{published.name(best['encoder'])}, {best['augmentation']}",
        "value": best[row.metric],
        "published": name,
        "published_value": value,
    }


def headlines(scores: pd.DataFrame, encoder: str) -> dict[str, dict[str, float | None]]:
    """The encoder's headline figures, plain and augmented."""
    mine = scores[scores["encoder"] == encoder].set_index("augmentation")
    return {str(name): {key: pixel.number(row[key]) for key in HEADLINES} for name, row in mine.iterrows()}


def wide_curves(curves: pd.DataFrame, encoder: str) -> pd.DataFrame:
    """The encoder's curves, one row an epoch, one column a curve and augmentation (plain_train_loss, ...)."""
    mine = curves[curves["encoder"] == encoder].set_index("epoch")
    columns = {
        f"{augmentation}_{curve}": rows[curve]
        for augmentation, rows in mine.groupby("augmentation")
        for curve in CURVES
    }
    return pd.DataFrame(columns).reset_index()


if __name__ == "__main__":
    run_stage(main)
