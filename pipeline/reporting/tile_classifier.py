"""What the report says of a study's classifier of tiles: its scores with intervals, its losses."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.parquet import read_rows
from pipeline.base.paths import evaluation_folder
from pipeline.base.records import Machine, Metrics
from pipeline.base.study import Study, variant
from pipeline.metrics import curve, pixel, stats
from pipeline.reporting import figures
from pipeline.reporting.results import Variant, read_curves

PLAN = "balanced"  # on which classifiers of tiles are trained


def add(folder: Path, study: Study) -> dict[str, Any]:
    """Write classifier.csv and the losses into the report's folder; return what its template shows beside them.

    All of the first of the study's classifiers, in the first run with the first seed.
    """
    name = study.classifiers[0]
    found = evaluation_folder(study.study, study.runs[0], study.seeds[0], name, PLAN)
    record, machine = Metrics.read(found / "metrics.json"), Machine.read(found / "machine.json")
    curves, tiles = read_curves(found), read_rows(found / "tiles.parquet")
    none = pd.DataFrame()
    drawn = Variant(name, PLAN, False, [record], [machine], [found], curves, none, none)
    row = {"model": "classifier of tiles", "plan": PLAN, "baseline": False}
    figures.learning_curves([drawn], [row], folder / "losses_classifier.png")
    scores = score_tiles(tiles, study.classes)
    scores.to_csv(folder / "classifier.csv", index=False, lineterminator="\n", float_format="%.6g")
    return {
        "classifier": record,
        "classifier_encoder": variant(study, name)[0],
        "classifier_seconds": machine.training and machine.training.seconds,
        "classifier_scores": by_name(scores),
        "constant_scores": by_name(score_tiles(tiles.assign(probability=0.0), study.classes)),
    }


def by_name(scores: pd.DataFrame) -> dict[Any, Any]:
    """A table of `score_tiles` as (side, of, score) -> value, low, high."""
    return dict(scores.set_index(["side", "of", "score"]).to_dict("index"))


def at_ratio(recall: float, specificity: float, ratio: float) -> float:
    """Precision of a classifier where `ratio` tiles without the target come on each with it."""
    called = recall + ratio * (1 - specificity)
    return recall / called if called else 0.0


def score_tiles(tiles: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Scores of train and test tiles by `truth` and `probability`, with intervals over patients (else slides)."""
    measured: dict[tuple[str, str], stats.Statistic] = {("all", "accuracy"): _accuracy}
    for score in ("precision", "recall", "f1"):
        measured["macro", score] = partial(_macro, score)
        measured |= {(name, score): partial(_class_score, score, code) for code, name in enumerate(classes)}
    result = []
    for side in ("train", "test"):
        mine = tiles[tiles["split"] == side]
        units = [patient or slide for patient, slide in mine[["patient", "slide"]].astype(str).itertuples(index=False)]
        truth, probability = mine["truth"].to_numpy(), mine["probability"].to_numpy()
        called = (probability > 0.5).astype(np.int64)
        counts = np.eye(4)[truth * 2 + called].reshape(-1, 2, 2)
        steps = np.stack([curve.histogram(*pair) for pair in zip(truth[:, None], probability[:, None], strict=True)])
        found = {name: stats.bootstrap(counts, statistic, units) for name, statistic in measured.items()}
        found["all", "average_precision"] = stats.bootstrap(steps.astype(float), curve.average_precision, units)
        result += [{"side": side, "of": of, "score": score} | asdict(each) for (of, score), each in found.items()]
    return pd.DataFrame(result)


def _accuracy(sums: stats.FloatArray) -> stats.FloatArray:
    return pixel.pixel_accuracy(sums.astype(np.int64))


def _class_score(score: str, code: int, sums: stats.FloatArray) -> stats.FloatArray:
    return np.asarray(getattr(pixel, score)(sums)[..., code], np.float64)


def _macro(score: str, sums: stats.FloatArray) -> stats.FloatArray:
    return pixel.mean(getattr(pixel, score)(sums))
