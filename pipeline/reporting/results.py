"""What a report reads of each variant, pooled over its runs and seeds."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.parquet import read_rows
from pipeline.base.paths import evaluation_folder
from pipeline.base.records import Machine, Metrics
from pipeline.base.study import AnyStudy
from pipeline.metrics import pixel

NAMED = ["run", "seed", "dataset", "shard", "index"]  # the columns that name a row of counts and instances
TABLES = ("curves", "counts", "instances", "histograms", "train")


@dataclass(frozen=True)
class Variant:
    """One evaluated variant (or baseline) on one plan. Its tables have a row an image or epoch of each run and seed."""

    name: str
    plan: str
    is_baseline: bool  # nothing was trained
    runs: list[Metrics]  # metrics.json of each run and seed
    machines: list[Machine]  # machine.json, likewise
    folders: list[Path]  # of their evaluation
    curves: pd.DataFrame  # a row an epoch; empty for a baseline
    images: pd.DataFrame  # counts.parquet, a row a test image
    instances: pd.DataFrame  # instances.parquet, the same rows; empty where the study has no instances
    histograms: pd.DataFrame = field(default_factory=pd.DataFrame)  # of a study with a target, the same rows
    train: pd.DataFrame = field(default_factory=pd.DataFrame)  # as `images`, of the train rows, where predicted

    @property
    def counts(self) -> pixel.Counts:
        """Pixels of each truth and predicted class, row by row, (N, C, C)."""
        size = round(sum(column.startswith("c") and "_" in column for column in self.images.columns) ** 0.5)
        return self.images[pixel.columns(size)].to_numpy().reshape(-1, size, size)


def load_variants(study: AnyStudy, encoder: str | None) -> list[Variant]:
    """Every variant of a study in the order of its tables, its baselines last; `encoder` is what joins, or None.

    Raises:
        Problem: naming the first file that is missing, or the first variant that was scored on other test tiles.
    """
    names = [*study.trained(encoder), *((baseline, "plain") for baseline in study.baselines)]
    variants = [load_variant(study, name, plan) for name, plan in names]
    for variant in variants:
        for table in filter(len, (variant.images, variant.instances, variant.histograms)):
            if not table[NAMED].equals(variants[0].images[NAMED]):
                raise Problem(
                    f"{variant.folders[0]} was scored on other test tiles than {variants[0].folders[0]};"
                    " run `dvc repro` so that both are evaluated again."
                )
    return variants


def load_variant(study: AnyStudy, name: str, plan: str, root: Path = Path()) -> Variant:
    """What was measured of one variant in all runs and seeds of a study, in the project that lies in `root`.

    A baseline draws nothing: the first seed stands for the others, so that all variants have the same rows.
    """
    baseline = name in study.baselines
    runs, machines, folders = [], [], []
    tables: dict[str, list[pd.DataFrame]] = {table: [] for table in TABLES}
    for run in study.runs:
        for seed in study.seeds:
            found = study.seeds[0] if baseline else seed
            folder = root / evaluation_folder(study.study, run, found, name, plan)
            record = Metrics.read(folder / "metrics.json")
            runs.append(record.model_copy(update={"seed": seed}))
            machines.append(Machine.read(folder / "machine.json"))
            folders.append(folder)
            for table, parts in tables.items():
                if wanted(table, record, baseline, folder):
                    rows = read_curves(folder) if table == "curves" else read_rows(folder / f"{table}.parquet")
                    parts.append(rows.assign(seed=seed))
    pooled = {name: pd.concat(parts, ignore_index=True) if parts else pd.DataFrame() for name, parts in tables.items()}
    return Variant(name, plan, baseline, runs, machines, folders, images=pooled.pop("counts"), **pooled)


def wanted(table: str, record: Metrics, baseline: bool, folder: Path) -> bool:
    """Whether an evaluation has a table: some are of trained variants, of nuclei, of a target alone."""
    if table == "curves":
        return not baseline
    if table == "instances":
        return "instances" in record.scores
    return table == "counts" or (folder / f"{table}.parquet").exists()


def read_curves(folder: Path) -> pd.DataFrame:
    """The learning curves of an evaluation, a row an epoch.

    Raises:
        Problem: they are missing.
    """
    try:
        return pd.read_csv(folder / "curves.csv")
    except FileNotFoundError:
        raise Problem(
            f"{folder / 'curves.csv'} is missing; run `dvc repro` so that the variant is evaluated first."
        ) from None
