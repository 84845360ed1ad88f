"""How far a training may land from another: the band that `lobule band` measured, and when it holds."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.params import Params

BAND = Path(__file__).with_name("band.csv")
SCORES = {  # of each study, those that get a band, and what they are called; its headline comes first
    "pannuke": {
        "mean_iou": "mean IoU",
        "dice_macro_no_background": "Dice, macro, no background",
        "bpq_images": "bPQ, images",
        "mpq_images": "mPQ, images",
        "detection_f1": "F_d",
    },
    "tnbc": {"jaccard_of_images": "Jaccard", "f1_of_images": "F1", "aji": "AJI"},
    "bcss": {
        "accuracy_one_vs_rest": "one-vs-rest accuracy",
        "mean_iou": "mean IoU",
        "dice_macro_no_background": "Dice, macro",
    },
    "bracs": {"dice_macro_no_background": "F1 of lesion pixels", "average_precision": "average precision"},
    "bach": {"accuracy": "accuracy", "f1": "F1", "ap50": "mask AP at IoU 0.5"},
}
SHAPING: dict[str, Any] = {  # of a study's parameters
    "datasets": True,
    "tissue": True,
    "classes": True,
    "tile_size": True,
    "split": True,
    "balance": True,
    "augment": True,
    "instances": True,
    "model": True,
    "detector": True,
    "train": True,
    "predict": {"flips"},
    "ignore": True,
    "target": True,
    "greyscale": True,
}


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


def basis(params: Params, study: str, variant: str, data: Sequence[str]) -> str:
    """What the band of a variant ("unet-augmented") was measured on, as a short hash.

    That is its encoder, the parameters that shape a score, the seed of the plans, how slides are cut, and `data`, the
    SHA-256 of each of the study's data sets. Parameters at their default are left out, so that a new one with a default
    keeps the bands that were measured.
    """
    encoder, described = params.study(study).of(variant.rpartition("-")[0])
    shaping = described.model_dump(mode="json", include=SHAPING, exclude_defaults=True)
    cut = [
        settings.model_dump(mode="json", include={"tiling"})
        for name, settings in params.datasets.items()
        if name in described.datasets
    ]
    on = [encoder, shaping, params.seed, cut, list(data)]
    return hashlib.sha256(json.dumps(on, sort_keys=True).encode()).hexdigest()[:12]


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


def beside(
    params: Params, study: str, data: Sequence[str], here: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """The bands of a study that hold, one row a variant and score, beside the score `here` of that variant."""
    return [
        {"variant": variant, "score": SCORES[study][score], "band": found, "here": scores[score]}
        for variant, scores in here.items()
        for score, found in read_bands(study, variant, basis(params, study, variant, data)).items()
    ]
