"""What a report reads of each variant, as one object."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import Problem
from pipeline.files import read_json
from pipeline.metrics import pixel
from pipeline.variants import AUGMENTATIONS, variant_folder


@dataclass(frozen=True)
class Variant:
    """One trained and evaluated variant."""

    encoder: str
    augmentation: str
    folder: Path
    training: dict[str, Any]  # training/training.json
    speed: dict[str, Any]  # predictions/speed.json
    scores: dict[str, Any]  # evaluation/metrics.json
    curves: pd.DataFrame  # training/curves.csv, a row an epoch
    images: pd.DataFrame  # evaluation/counts.csv, a row a test image

    @property
    def counts(self) -> pixel.Counts:
        """Pixels of each truth and predicted class, image by image, (N, C, C)."""
        size = len(self.scores["per_class"])
        return self.images[pixel.columns(size)].to_numpy().reshape(-1, size, size)


def load_variants(study: str, run: int, seed: int, encoders: Sequence[str]) -> list[Variant]:
    """Both variants of each encoder, in order, plain first.

    Raises:
        Problem: naming the first file that is missing.
    """
    return [
        _load(encoder, augmentation, variant_folder(study, run, seed, encoder, augmentation))
        for encoder in encoders
        for augmentation in AUGMENTATIONS
    ]


def _load(encoder: str, augmentation: str, folder: Path) -> Variant:
    try:
        return Variant(
            encoder,
            augmentation,
            folder,
            read_json(folder / "training" / "training.json"),
            read_json(folder / "predictions" / "speed.json"),
            read_json(folder / "evaluation" / "metrics.json"),
            pd.read_csv(folder / "training" / "curves.csv"),
            pd.read_csv(folder / "evaluation" / "counts.csv", keep_default_na=False),
        )
    except FileNotFoundError as error:
        raise Problem(f"{error.filename} is missing; run `dvc repro` so that the variant is evaluated first.") from None
