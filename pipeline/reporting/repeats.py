"""What repeated trainings of a variant show: median and range over seeds, last losses, the band of one more, speed."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from pipeline.base.records import Speed
from pipeline.metrics.stats import FloatArray
from pipeline.reporting.band import Band, measure
from pipeline.reporting.paper import Paper
from pipeline.reporting.published import Published
from pipeline.reporting.results import Variant
from pipeline.reporting.scoring import Figures

LEAST = 3  # trainings from which a band is measured


@dataclass(frozen=True)
class Spread:
    """A score over the runs and seeds of a variant; NaN where none has it."""

    median: float
    low: float
    high: float


def spread(values: FloatArray) -> Spread:
    """Median and range of the values (L,) that are not NaN."""
    known = values[np.isfinite(values)]
    if not known.size:
        return Spread(np.nan, np.nan, np.nan)
    return Spread(float(np.median(known)), float(known.min()), float(known.max()))


def spreads(scores: Figures) -> list[dict[str, Spread]]:
    """Every score (variants, runs) of `Evidence.by_run`, one entry a variant."""
    count = len(next(iter(scores.values())))
    return [{name: spread(values[place]) for name, values in scores.items()} for place in range(count)]


def losses(
    variants: Sequence[Variant], rows: Sequence[dict[str, Any]], paper: Paper, published: Published
) -> list[dict[str, Any]]:
    """One row a trained variant: the training loss of its last epoch, and what the paper prints of its losses."""
    result = []
    for variant, row in zip(variants, rows, strict=True):
        if row["baseline"]:
            continue
        last = variant.curves.groupby(["run", "seed"])["train_loss"].last().to_numpy(np.float64)
        name = paper.names.get(variant.name) if variant.plan == paper.trained else None
        table = paper.tables.get("losses", "")
        printed = {
            split: published.of_variant(table, name, "loss", paper.target_class, split)
            for split in ("train", "validation")
        }
        result.append(row | {"loss": spread(last), "published_loss": printed})
    return result


def bands(
    variants: Sequence[Variant], rows: Sequence[dict[str, Any]], scores: Figures, score: str
) -> list[dict[str, Any]]:
    """The band in which one more training's score lies, one row a variant trained often enough with different seeds."""
    result = []
    for variant, row, values in zip(variants, rows, scores[score], strict=True):
        if not row["baseline"] and len({run.seed for run in variant.runs}) >= LEAST:
            band: Band = measure(score, values.tolist())
            result.append(row | {"values": values.tolist(), "range": float(np.ptp(values)), "band": band})
    return result


def speeds(variants: Sequence[Variant]) -> list[dict[str, Any] | None]:
    """Images per second of each variant, the median over its trainings; None for a baseline.

    `one` at a time, and `best` in batches of `batch`, the fastest size.
    """
    result: list[dict[str, Any] | None] = []
    for variant in variants:
        measured = [machine.speed for machine in variant.machines if machine.speed]
        if not measured:
            result.append(None)
            continue
        rates = {size: median(each.images_per_second[size] for each in measured) for size in _sizes(measured)}
        batch = max(rates, key=lambda size: rates[size])
        result.append({"device": measured[0].device, "one": rates.get("1"), "best": rates[batch], "batch": batch})
    return result


def _sizes(measured: Sequence[Speed]) -> list[str]:
    return [size for size in measured[0].images_per_second if all(size in m.images_per_second for m in measured)]
