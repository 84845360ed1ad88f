"""The evaluated variants of a study of images: what was measured of their trainings, and every figure over these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.base.parquet import read_rows
from pipeline.base.paths import evaluation_folder
from pipeline.base.records import Machine, Metrics
from pipeline.base.study import DetectionStudy
from pipeline.metrics import classification, stats
from pipeline.metrics.pixel import BACKGROUND
from pipeline.metrics.votes import Figure, FloatArray, Found, Labels, Side, pooled
from pipeline.reporting.names import BASELINES
from pipeline.reporting.results import read_curves
from pipeline.tiles.plan import SPLITS, TILE

NO_CALL = "no call"
TRAINING = ["run", "seed"]  # the columns that name a training


@dataclass(frozen=True)
class Variant:
    """One variant or baseline, of all runs and seeds. Tables of trainings have the columns run and seed."""

    name: str
    plan: str
    model: str  # what a table calls it
    baseline: bool  # a sanity row: nothing was trained
    trainings: list[Metrics]  # one a run and seed
    machines: list[Machine]
    votes: pd.DataFrame  # a row an image and training: what names it, truth, call, votes, nuclei, split
    curves: pd.DataFrame  # a row an epoch and training; empty for a baseline
    figures: dict[str, dict[str, Figure]]  # side of the split -> score -> its figure over the trainings

    @property
    def held_out(self) -> pd.DataFrame:
        """The test images, each once, whatever the number of trainings."""
        rows = self.votes[self.votes["split"] == "test"]
        return rows.drop_duplicates(TILE)

    def confusion(self, side: str) -> FloatArray:
        """Images of each true class (rows) and called class (columns, the last one no call), of all trainings."""
        return np.sum([found.scores[side]["confusion"] for found in self.trainings], axis=0)


def load(study: DetectionStudy, encoder: str | None, names: Mapping[str, str], seed: int) -> list[Variant]:
    """All variants of a study in the order of its tables, then its baselines, which the first seed stands for.

    `names` are what tables call the variants where that is not their name; `seed` draws the resamples of the intervals.

    Raises:
        Problem: one was not evaluated.
    """
    trained = study.trained(encoder)
    several = len({plan for _, plan in trained}) > 1  # the name of a variant alone does not tell its rows apart
    return [
        _load(study, name, plan, names.get(name, name) + (f", {plan}" if several else ""), study.seeds, seed)
        for name, plan in trained
    ] + [_load(study, name, "plain", BASELINES[name], study.seeds[:1], seed) for name in study.baselines]


def _load(study: DetectionStudy, name: str, plan: str, model: str, seeds: Sequence[int], seed: int) -> Variant:
    baseline = name in study.baselines
    classes = [each for each in study.classes if each != BACKGROUND]
    trainings, machines, votes, detections, curves = [], [], [], [], []
    for run in study.runs:
        for number in seeds:
            folder = evaluation_folder(study.study, run, number, name, plan)
            trainings.append(Metrics.read(folder / "metrics.json"))
            machines.append(Machine.read(folder / "machine.json"))
            votes.append(read_rows(folder / "votes.parquet"))
            if not baseline:
                detections.append(read_rows(folder / "detections.parquet"))
                curves.append(read_curves(folder))
    figures = {side: _figures(votes, detections, side, classes, seed) for side in SPLITS}
    all_curves = pd.concat(curves) if curves else pd.DataFrame()
    return Variant(name, plan, model, baseline, trainings, machines, pd.concat(votes), all_curves, figures)


def _figures(
    votes: Sequence[pd.DataFrame], detections: Sequence[pd.DataFrame], side: str, classes: Sequence[str], seed: int
) -> dict[str, Figure]:
    """Every score of a side over trainings, from their tables; none where the side has no image."""
    mine = [rows[rows["split"] == side] for rows in votes]
    if not all(len(rows) for rows in mine):
        return {}
    if detections:
        found = [table[table["split"] == side] for table in detections]
        sides = [read_side(rows, table, classes) for rows, table in zip(mine, found, strict=True)]
    else:
        sides = [read_side(rows, None, classes) for rows in mine]
    return pooled(sides, [units(rows) for rows in mine], seed)


def read_side(votes: pd.DataFrame, detections: pd.DataFrame | None, classes: Sequence[str]) -> Side:
    """A side of one training from its rows of votes.parquet and detections.parquet."""
    cast, nuclei = (
        votes[[f"{column}_{label}" for label in classes]].to_numpy(np.float64) for column in ("vote", "nuclei")
    )
    found = None if detections is None else Found.of(detections, nuclei)
    return Side(_codes(votes["truth"], classes), cast, classes, found)


def units(votes: pd.DataFrame) -> list[str]:
    """What is resampled, of each image: its patient, else the image itself."""
    rows = votes[["dataset", "patient", "shard", "index"]].astype(str)
    return [
        f"patient {dataset} {patient}" if patient else f"image {dataset} {shard} {index}"
        for dataset, patient, shard, index in rows.itertuples(index=False)
    ]


def against_best(
    variants: Sequence[Variant], best: Variant, classes: Sequence[str], seed: int
) -> list[tuple[Variant, stats.Comparison]]:
    """Each other row tested against the best one by accuracy, on the same test images; the nearest first."""
    counts = [_counts(variant, classes) for variant in variants]
    rows = best.votes[(best.votes["split"] == "test") & (best.votes["seed"] == best.votes["seed"].iloc[0])]
    place = next(number for number, variant in enumerate(variants) if variant is best)
    tests = stats.compare(
        counts,
        classification.accuracy,
        units(rows),
        pairs=[(other, place) for other in range(len(variants)) if other != place],
        seed=seed,
    )
    return sorted(((variants[test.first], test) for test in tests), key=lambda found: -found[1].difference.value)


def _counts(variant: Variant, classes: Sequence[str]) -> FloatArray:
    """Calls of the test images of all runs (N, C, C + 1): the share of a run's trainings that called the image so."""
    votes = variant.votes[variant.votes["split"] == "test"]
    kinds = [*classes, NO_CALL]
    counts = np.zeros((len(votes), len(classes), len(kinds)))
    counts[np.arange(len(votes)), _codes(votes["truth"], kinds), _codes(votes["call"], kinds)] = 1
    images = votes.groupby(["run", *TILE], sort=False).ngroup().to_numpy()
    shares = np.zeros((images.max() + 1, *counts.shape[1:]))
    np.add.at(shares, images, counts)
    return shares / votes["seed"].nunique()


def _codes(names: "pd.Series[str]", classes: Sequence[str]) -> Labels:
    codes = {name: code for code, name in enumerate(classes)}
    return np.array([codes[name] for name in names], np.int64)
