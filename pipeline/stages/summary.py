"""Write the front page of the reports: `python -m pipeline.stages.summary`.

In:  intervals.csv and curves.csv of every study's report, its params.yaml, its paper.
Out: reports/README.md, one row a study, and the encoders that studies of one task share; reports/metrics.json, the
     headline score of every variant of every study and six figures of the top-level `encoder` (for `dvc metrics` and
     `dvc exp show`); reports/curves.csv, the learning curves of its first run (for `dvc plots`).
     Nothing in them depends on the machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.base.errors import Problem, run_stage
from pipeline.base.files import replacing, write_json, write_text
from pipeline.base.params import read_params
from pipeline.base.paths import REPORTS
from pipeline.base.study import ENCODER, AnyStudy, read_study, study_names, variant
from pipeline.metrics import pixel
from pipeline.reporting.paper import Paper, headline
from pipeline.reporting.published import Published
from pipeline.reporting.rendering import render

SCORES = {  # of the top-level encoder: name in metrics.json -> in intervals.csv
    "mean_iou": "mean_iou",
    "mean_iou_no_background": "mean_iou_no_background",
    "dice_micro": "dice_micro",
    "dice_macro": "dice_macro",
    "bpq": "bpq_images",
    "mpq": "mpq_images",
}
LABELS = ("mean IoU", "mean IoU, no background", "Dice, micro", "Dice, macro", "bPQ", "mPQ")  # of these
CURVES = ("train_loss", "validation_loss", "validation_mean_iou")


@dataclass(frozen=True)
class Reported:
    """What the front page knows of a study."""

    study: AnyStudy
    paper: Paper
    published: Published
    figures: pd.DataFrame  # intervals.csv

    @property
    def trained(self) -> pd.DataFrame:
        """The headline figure of every trained variant, the best first."""
        mine = self.figures[self.figures["score"] == self.paper.score]
        mine = mine[~mine["variant"].isin(self.study.baselines)]
        return mine.sort_values("value", ascending=False, kind="stable")


def main() -> None:
    encoder = read_params().encoder
    studies = [read_reported(name) for name in study_names()]
    compared = next((report for report in studies if ENCODER in report.study.compare), None)
    mine = headlines(compared.figures, encoder) if compared else {}
    write_text(
        REPORTS / "README.md",
        render(
            "summary.md.j2",
            rows=[front_row(report) for report in studies],
            shared=shared_encoders(studies),
            encoder=encoder,
            headlines=mine,
            labels=dict(zip(SCORES, LABELS, strict=True)),
        ),
    )
    write_json(REPORTS / "metrics.json", numbers(studies, encoder))
    with replacing(REPORTS / "curves.csv") as temporary:
        curves = wide_curves(read_table(compared.study.study, "curves"), encoder) if compared else pd.DataFrame()
        curves.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")


def read_reported(name: str) -> Reported:
    """Read what a study's report wrote, and how the study is put."""
    study = read_study(name)
    return Reported(study, headline(study), Published.of(name), read_table(name, "intervals"))


def read_table(study: str, name: str) -> pd.DataFrame:
    """A table that a study's report wrote.

    Raises:
        Problem: it is missing.
    """
    path = REPORTS / study / f"{name}.csv"
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise Problem(f"{path} is missing; run `dvc repro studies/{study}/dvc.yaml:report`.") from None


def front_row(report: Reported) -> dict[str, Any]:
    """A study's best trained variant, and the highest figure that its paper prints, None where it rebuilds none."""
    paper, published, best = report.paper, report.published, report.trained.iloc[0]
    name = value = None
    if paper.score in paper.printed:
        name, value = published.highest(paper.table, paper.printed_score, paper.target_class, paper.side)
    return {
        "study": report.study.study,
        "question": paper.question,
        "sample": best["source"] == "sample",
        "label": paper.label,
        "best": f"{paper.model(published, best['variant'])}, {best['plan']}",
        "figure": best,
        "unusual": best["value"] < best["band_low"] or best["value"] > best["band_high"],  # false where no band is
        "published": name,
        "published_value": value,
    }


def shared_encoders(studies: list[Reported]) -> dict[str, dict[str, Any]]:
    """Of each task with several studies: its studies' labels, and the encoders that at least two of them compare.

    An encoder's row has in a cell a study its best variant's headline figure, where the study compares it. Encoders of
    different tasks are never joined: a name is shared by networks that have nothing else in common.
    """
    result: dict[str, dict[str, Any]] = {}
    for task in dict.fromkeys(report.study.task for report in studies):
        mine = [report for report in studies if report.study.task == task]
        best: dict[str, dict[str, Any]] = {}
        for report in mine:
            for _, row in report.trained.iterrows():  # the best first
                encoder, _ = variant(report.study, row["variant"])
                best.setdefault(encoder, {}).setdefault(report.study.study, row)
        rows = [{"model": called(encoder, mine), "cells": cells} for encoder, cells in best.items() if len(cells) > 1]
        if rows:
            result[task] = {"labels": {report.study.study: report.paper.label for report in mine}, "rows": rows}
    return result


def called(encoder: str, studies: list[Reported]) -> str:
    """What an encoder is called by the first paper that compares encoders as such, and not variants of its own."""
    papers = [report.published for report in studies if not report.paper.names]
    having = [published for published in papers if encoder in set(published.rows["encoder"])]
    return (having or [studies[0].published])[0].name(encoder)


def headlines(figures: pd.DataFrame, encoder: str) -> dict[str, dict[str, Any]]:
    """The rows of the encoder's figures: plan -> name -> row (value, sd, low, high)."""
    mine = figures[figures["variant"] == encoder]
    return {
        str(plan): {
            name: rows[rows["score"] == score].iloc[0] for name, score in SCORES.items() if score in set(rows["score"])
        }
        for plan, rows in mine.groupby("plan", sort=False)
    }


def numbers(studies: list[Reported], encoder: str) -> dict[str, Any]:
    """Of every study its best headline score and each variant's; six figures of the encoder on its best plan."""
    result: dict[str, Any] = {"encoder": encoder}
    for report in studies:
        trained = report.trained
        scores: dict[str, Any] = {"best": pixel.number(trained["value"].iloc[0])}
        scores |= {
            f"{row['variant']}-{row['plan']}": pixel.number(row["value"]) for _, row in trained.sort_index().iterrows()
        }
        if ENCODER in report.study.compare:
            plan = trained[trained["variant"] == encoder]["plan"].iloc[0]
            mine: Mapping[str, Any] = headlines(report.figures, encoder)[plan]
            scores["encoder"] = {name: pixel.number(row["value"]) for name, row in mine.items()}
        result[report.study.study] = scores
    return result


def wide_curves(curves: pd.DataFrame, encoder: str) -> pd.DataFrame:
    """The encoder's curves in its first run, a row an epoch, a column a curve and plan (plain_train_loss)."""
    mine = curves[curves["variant"] == encoder]
    mine = mine[(mine["run"] == mine["run"].iloc[0]) & (mine["seed"] == mine["seed"].iloc[0])].set_index("epoch")
    columns = {f"{plan}_{curve}": rows[curve] for plan, rows in mine.groupby("plan") for curve in CURVES}
    return pd.DataFrame(columns).reset_index()


if __name__ == "__main__":
    run_stage(main)
