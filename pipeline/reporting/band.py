"""How far a training may land from another: the band that `lobule band` measures, and when it holds."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.files import replacing
from pipeline.base.params import Params
from pipeline.base.paths import paper_folder
from pipeline.base.study import AnyStudy, variant
from pipeline.reporting.paper import headline

SHAPING: dict[str, Any] = {  # of a study's parameters
    **dict.fromkeys(
        ("datasets", "group", "classes", "ignore", "target", "greyscale", "tile_size", "split", "balance", "augment"),
        True,
    ),
    "instances": True,
    "model": True,
    "train": True,
    "predict": {"flips", "score", "detections"},
}
MACHINE = {"train": {"workers"}}  # what of these changes no score


@dataclass(frozen=True)
class Band:
    """Where a score of one more training with another seed lies with 95 % confidence."""

    score: str
    mean: float
    sd: float
    low: float
    high: float
    seeds: int

    def holds(self, value: float) -> bool:
        """Whether a score lies in the band."""
        return self.low <= value <= self.high


def measure(score: str, values: Sequence[float]) -> Band:
    """The prediction interval of one more value after n, for normal values: mean -+ t(n - 1) sd sqrt(1 + 1/n).

    Scores lie between 0 and 1, and so do its ends.
    """
    from scipy.special import stdtrit

    count = len(values)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(count - 1, 0.975)) * sd * np.sqrt(1 + 1 / count)
    return Band(score, mean, sd, max(0.0, mean - half), min(1.0, mean + half), count)


def basis(params: Params, study: AnyStudy, name: str, data: Sequence[str]) -> str:
    """What the band of a variant and its plan ("unet-augmented") was measured on, as a short hash.

    That is its encoder, the parameters that shape a score, the seed of the plans, how slides are cut, and `data`, the
    SHA-256 of each of the study's data sets. Parameters at their default are left out, so that a new one with a default
    keeps the bands that were measured.
    """
    encoder, described = variant(study, name.rpartition("-")[0])
    shaping = described.model_dump(mode="json", include=SHAPING, exclude=MACHINE, exclude_defaults=True)
    tilings = [params.datasets[dataset].tiling for dataset in described.datasets]
    cut = [tiling and tiling.model_dump(mode="json") for tiling in tilings]
    on = [encoder, shaping, params.seed, cut, list(data)]
    return hashlib.sha256(json.dumps(on, sort_keys=True).encode()).hexdigest()[:12]


def band_path(study: str) -> Path:
    """Where the bands of a study lie."""
    return paper_folder(study) / "band.csv"


def read_bands(study: str, variant: str, basis: str) -> dict[str, Band]:
    """The bands of a variant ("unet-augmented") by score, none where it was not measured on this basis."""
    path = band_path(study)
    if not path.exists():
        return {}
    table = pd.read_csv(path, dtype={"basis": str})
    mine = table[(table["variant"] == variant) & (table["basis"] == basis)]
    columns = ["score", "mean", "sd", "low", "high", "seeds"]
    return {str(row.score): Band(*row) for row in mine[columns].itertuples(index=False)}


def write_bands(study: str, variant: str, basis: str, bands: Sequence[Band]) -> None:
    """Put a variant's bands into its study's table; those measured before on whatever basis go."""
    path = band_path(study)
    table = pd.DataFrame([{"variant": variant, **band.__dict__, "basis": basis} for band in bands])
    if path.exists():
        old = pd.read_csv(path, dtype={"basis": str})
        others = old[old["variant"] != variant]
        table = pd.concat([others, table]) if len(others) else table
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")


def beside(intervals: pd.DataFrame, bands: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of figures with `band_low` and `band_high` of each, empty where none was measured.

    Args:
        intervals: a row a figure, named by its `variant`, `plan` and `score`.
        bands: rows of `measured`.
    """
    known = {(row["variant"], row["name"]): row["band"] for row in bands}
    mine = [known.get((f"{row.variant}-{row.plan}", row.score)) for row in intervals.itertuples()]
    ends = {f"band_{end}": [band and getattr(band, end) for band in mine] for end in ("low", "high")}
    return intervals.assign(**{name: pd.array(values, dtype="Float64") for name, values in ends.items()})


def measured(
    params: Params, study: AnyStudy, data: Sequence[str], here: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """The bands of a study that hold, one row a variant and score; `here` is what each variant scores in this report.

    A row has `variant` ("unet-augmented"), `name` of the score, its `score` in words, `band` and `here`.
    """
    labels = headline(study).bands
    return [
        {"variant": name, "name": score, "score": labels.get(score, score), "band": found, "here": scores[score]}
        for name, scores in here.items()
        for score, found in read_bands(study.study, name, basis(params, study, name, data)).items()
    ]
