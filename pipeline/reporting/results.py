"""What a report reads of each variant, as one object."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.files import read_json
from pipeline.base.paths import BASELINES, evaluation_folder
from pipeline.metrics import pixel

NAMED = ["run", "seed", "dataset", "shard", "index"]  # the columns that name a row of counts.csv and instances.csv


@dataclass(frozen=True)
class Variant:
    """One evaluated variant: an encoder (or baseline) and an augmentation, over all its runs and seeds."""

    encoder: str
    augmentation: str
    folder: Path
    record: dict[str, Any]  # metrics.json
    machine: list[dict[str, Any]]  # machine.json, one entry a run and seed
    curves: pd.DataFrame  # a row an epoch of each run; empty for a baseline
    images: pd.DataFrame  # counts.csv, a row a test image of each run
    instances: pd.DataFrame  # instances.csv, the same rows; empty where the study has no instances
    histograms: pd.DataFrame = field(default_factory=pd.DataFrame)  # of a study with a target, the same rows
    train: pd.DataFrame = field(default_factory=pd.DataFrame)  # as `images`, of the train rows, where predicted

    @property
    def counts(self) -> pixel.Counts:
        """Pixels of each truth and predicted class, row by row, (N, C, C)."""
        size = round(sum(column.startswith("c") and "_" in column for column in self.images.columns) ** 0.5)
        return self.images[pixel.columns(size)].to_numpy().reshape(-1, size, size)

    @property
    def runs(self) -> list[dict[str, Any]]:
        """What metrics.json tells of each run and seed."""
        return list(self.record["runs"])

    @property
    def is_baseline(self) -> bool:
        """A sanity row: nothing was trained."""
        return self.encoder in BASELINES


def load_variants(study: str, names: Sequence[tuple[str, str]]) -> list[Variant]:
    """The variants of a study, each named by encoder and augmentation, in the order given.

    Raises:
        Problem: naming the first file that is missing, or the first variant that was scored on other test tiles.
    """
    variants = [load_variant(evaluation_folder(study, name, kind), name, kind) for name, kind in names]
    for variant in variants:
        for table in filter(len, (variant.images, variant.instances, variant.histograms)):
            if not table[NAMED].equals(variants[0].images[NAMED]):
                raise Problem(
                    f"{variant.folder} was scored on other test tiles than {variants[0].folder};"
                    " run `dvc repro` so that both are evaluated again."
                )
    return variants


def load_variant(folder: Path, encoder: str, augmentation: str) -> Variant:
    """What `evaluate` wrote of one variant."""
    try:
        record = read_json(folder / "metrics.json")
        has_instances = "instances" in record["runs"][0]["scores"]
        return Variant(
            encoder,
            augmentation,
            folder,
            record,
            read_json(folder / "machine.json"),
            pd.DataFrame() if encoder in BASELINES else pd.read_csv(folder / "curves.csv"),
            pd.read_csv(folder / "counts.csv", keep_default_na=False),
            pd.read_csv(folder / "instances.csv", keep_default_na=False) if has_instances else pd.DataFrame(),
            **{
                name: pd.read_csv(folder / f"{name}.csv", keep_default_na=False)
                for name in ("histograms", "train")
                if (folder / f"{name}.csv").is_file()
            },
        )
    except FileNotFoundError as error:
        raise Problem(f"{error.filename} is missing; run `dvc repro` so that the variant is evaluated first.") from None
