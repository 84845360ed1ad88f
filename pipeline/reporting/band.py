"""How far a training may land from another: the band that benchmarks/seed_band.py measured, and when it holds."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.params import Study

BAND = Path(__file__).with_name("band.csv")
SCORES = ("mean_iou", "dice_macro_no_background", "bpq_images", "mpq_images", "detection_f1")
SHAPING = (
    "datasets",
    "tissue",
    "classes",
    "tile_size",
    "split",
    "balance",
    "augment",
    "instances",
    "model",
    "train",
    "ignore",
    "target",
    "greyscale",
)


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
    """The prediction interval of one more value after n, for normal values: mean -+ t(n - 1) sd sqrt(1 + 1/n)."""
    from scipy.special import stdtrit

    count = len(values)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(count - 1, 0.975)) * sd * np.sqrt(1 + 1 / count)
    return Band(score, mean, sd, mean - half, mean + half, count)


def basis(study: Study, data_sha256: str) -> str:
    """What a band was measured on, as a short hash: the study's parameters that shape a score, and its data.

    Parameters at their default are left out, so that a new one with a default keeps the bands that were measured.
    """
    shaping = [study.model_dump(mode="json", include=set(SHAPING), exclude_defaults=True), data_sha256]
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:12]


def read_bands(study: str, variant: str, basis: str, path: Path = BAND) -> dict[str, Band]:
    """The bands of a variant ("unet-augmented") by score, none where it was not measured on this basis."""
    table = pd.read_csv(path, dtype={"basis": str})
    mine = table[(table["study"] == study) & (table["variant"] == variant) & (table["basis"] == basis)]
    columns = ["score", "mean", "sd", "low", "high", "seeds"]
    return {str(row.score): Band(*row) for row in mine[columns].itertuples(index=False)}


def write_bands(study: str, variant: str, basis: str, bands: Sequence[Band], path: Path = BAND) -> None:
    """Put a variant's bands into the table; those measured before on whatever basis go."""
    table = pd.DataFrame([{"study": study, "variant": variant, **band.__dict__, "basis": basis} for band in bands])
    if path.exists():
        old = pd.read_csv(path, dtype={"basis": str})
        others = old[(old["study"] != study) | (old["variant"] != variant)]
        table = pd.concat([others, table]) if len(others) else table
    table.to_csv(path, index=False, lineterminator="\n", float_format="%.6g")
