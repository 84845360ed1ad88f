"""Write the front page of the reports: `python -m pipeline.stages.summary`.

In:  intervals.csv and curves.csv of every study's report, published.csv.
Out: reports/README.md, one row a study, and the encoders that all studies compare; reports/metrics.json, the headline
     figures of the top-level `encoder` with their intervals (for `dvc metrics` and `dvc exp show`);
     reports/curves.csv, the learning curves of its first run (for `dvc plots`).
     Nothing in them depends on the machine.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.base.errors import Problem, run_stage
from pipeline.base.files import replacing, write_json, write_text
from pipeline.base.params import Params, read_params
from pipeline.base.paths import BASELINES, IMAGE_BASELINES
from pipeline.metrics import pixel
from pipeline.reporting.headlines import HEADLINES
from pipeline.reporting.published import Published
from pipeline.reporting.rendering import render

REPORTS = Path("reports")
ENCODER_STUDY = "pannuke"  # the study that the top-level `encoder` joins
SCORES = {  # name in metrics.json -> in intervals.csv
    "mean_iou": "mean_iou",
    "mean_iou_no_background": "mean_iou_no_background",
    "dice_micro": "dice_micro",
    "dice_macro": "dice_macro",
    "bpq": "bpq_images",
    "mpq": "mpq_images",
}
CURVES = ("train_loss", "validation_loss", "validation_mean_iou")


def main() -> None:
    params = read_params()
    encoder = params.encoder
    figures = {study: read_table(study, "intervals") for study in HEADLINES}
    mine = headlines(figures[ENCODER_STUDY], encoder)
    write_text(
        REPORTS / "README.md",
        render(
            "summary.md.j2",
            rows=[front_row(study, figures[study]) for study in HEADLINES],
            shared=shared_models(figures, params),
            labels={study: headline.label for study, headline in HEADLINES.items()},
            encoder=encoder,
            headlines=mine,
        ),
    )
    write_json(REPORTS / "metrics.json", {"encoder": encoder, ENCODER_STUDY: as_numbers(mine)})
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


def front_row(study: str, figures: pd.DataFrame) -> dict[str, Any]:
    """A study's best trained variant beside the highest figure that its paper prints."""
    headline, published = HEADLINES[study], Published.of(study)
    trained = figures[(figures["score"] == headline.score) & ~figures["encoder"].isin([*BASELINES, *IMAGE_BASELINES])]
    best = trained.sort_values("value", ascending=False, kind="stable").iloc[0]
    name, value = published.highest(headline.table, headline.printed_score, headline.of, headline.side)
    return {
        "study": study,
        "question": headline.question,
        "sample": best["source"] == "sample",
        "label": headline.label,
        "best": f"{headline.model(published, best['encoder'])}, {best['augmentation']}",
        "figure": best,
        "published": name,
        "published_value": value,
    }


def shared_models(figures: Mapping[str, pd.DataFrame], params: Params) -> list[dict[str, Any]]:
    """The encoders that every study compares: one row each, in a cell a study its best variant's headline figure."""
    best: dict[str, dict[str, Any]] = {}
    for study, table in figures.items():
        trained = table[(table["score"] == HEADLINES[study].score) & ~table["encoder"].isin(BASELINES)]
        for _, row in trained.sort_values("value", kind="stable").iterrows():
            encoder, _ = params.study(study).of(row["encoder"])
            best.setdefault(encoder, {})[study] = row
    name = Published.of(ENCODER_STUDY).name
    return [
        {"model": name(encoder), "cells": cells} for encoder, cells in best.items() if cells.keys() == figures.keys()
    ]


def headlines(figures: pd.DataFrame, encoder: str) -> dict[str, dict[str, Any]]:
    """The rows of the encoder's headline figures: augmentation -> name -> row (value, sd, low, high)."""
    mine = figures[figures["encoder"] == encoder]
    return {
        str(augmentation): {
            name: rows[rows["score"] == score].iloc[0] for name, score in SCORES.items() if score in set(rows["score"])
        }
        for augmentation, rows in mine.groupby("augmentation", sort=False)
    }


def as_numbers(headlines: dict[str, dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Headline figures and the ends of their 95 % intervals (`<name>_low`, `<name>_high`) as plain numbers."""
    return {
        augmentation: {
            f"{name}{ending}": pixel.number(row[column])
            for name, row in rows.items()
            for ending, column in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        for augmentation, rows in headlines.items()
    }


def wide_curves(curves: pd.DataFrame, encoder: str) -> pd.DataFrame:
    """The encoder's curves in its first run, a row an epoch, a column a curve and augmentation (plain_train_loss)."""
    mine = curves[curves["encoder"] == encoder]
    mine = mine[(mine["run"] == mine["run"].iloc[0]) & (mine["seed"] == mine["seed"].iloc[0])].set_index("epoch")
    columns = {
        f"{augmentation}_{curve}": rows[curve]
        for augmentation, rows in mine.groupby("augmentation")
        for curve in CURVES
    }
    return pd.DataFrame(columns).reset_index()


if __name__ == "__main__":
    run_stage(main)
