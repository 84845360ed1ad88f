"""How a U-Net's predictions are scored: pixels and nuclei, image by image."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base import hdf5
from pipeline.base.errors import Problem
from pipeline.base.parquet import write_rows
from pipeline.base.paths import TILES
from pipeline.base.study import PixelStudy
from pipeline.metrics import curve, pixel
from pipeline.nuclei import comparison
from pipeline.plans.census import count_nuclei
from pipeline.plans.job import Job
from pipeline.tasks.evaluation import write_records
from pipeline.tasks.segmentation import baselines
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import Shard

ROW = ["dataset", "shard", "index", "patient", "slide"]  # what names a test image, beside run and seed
HEAT = 8  # cells on a side of a tile, in which class_maps.h5 keeps the mean probability of the target
AT_ONCE = 64  # predicted maps in memory
Target = tuple[curve.Counts, npt.NDArray[np.uint8]]  # histograms (N, 2, STEPS); heat (N, HEAT, HEAT)


def score(job: Job, folder: Path) -> None:
    """Write what was measured of a variant, or of a baseline, whose predictions are made here.

    counts.parquet      pixels of each truth and predicted class, a row a test image, at the study's size
    instances.parquet   matched, invented and missed nuclei, a row a test image, at the tiles' native size (where the
                        study asks for `instances`)
    train.parquet       as counts.parquet, of the train rows (where `predict.splits` asks for them)
    histograms.parquet  pixels of each truth by probability of the target, a row a test image (where there is one)
    metrics.json        every score, from those counts; nothing in it depends on the machine
    curves.csv, machine.json, class_maps.h5   what reports show of training, speed and predictions
    """
    study = job.settings
    assert isinstance(study, PixelStudy)
    tests = Examples.of(job.rows("test"), study)
    named = {"run": job.run, "seed": job.seed}
    images = named_rows(tests, named)
    with predictions(job, study) as found, hdf5.create(folder / "class_maps.h5") as kept:
        counts = count_pixels(study, tests, found / "test.h5", kept)
        nuclei = None
        if study.instances:
            nuclei, native = comparison.compare(tests, found / "test.h5", study.classes, study.instances)
        target = measure_target(tests, found / "test.h5") if study.target else None
        if target is not None:
            kept.create_dataset("heat", data=target[1], compression="gzip")
        if nuclei is not None:
            for position, class_map in enumerate(native):
                kept.create_dataset(f"native/{position}", data=class_map, compression="gzip")
        train = None
        if "train" in study.predict.splits:
            rows = Examples.of(job.rows("train"), study)
            train = count_table(named_rows(rows, named), count_pixels(study, rows, found / "train.h5"))
    scores = pixel.score(counts, study.classes)
    annotated = count_nuclei(tests.plan, len(study.classes)).sum(axis=0)
    for code, name in enumerate(study.classes):
        scores["per_class"][name]["nuclei"] = None if name == pixel.BACKGROUND else int(annotated[code])
    tables = {"counts": count_table(images, counts)}
    if nuclei is not None:
        scores["instances"] = comparison.score(nuclei, images["group"].tolist(), study.classes)
        tables["instances"] = images.join(nuclei)
    if train is not None:
        tables["train"] = train
    if target is not None:
        scores["average_precision"] = pixel.number(curve.average_precision(target[0].sum(axis=0)))
        tables["histograms"] = images.join(pd.DataFrame(target[0].reshape(len(images), -1), columns=curve.COLUMNS))
    for name, table in tables.items():
        write_rows(folder / f"{name}.parquet", table)
    write_records(job, folder, scores)


@contextmanager
def predictions(job: Job, study: PixelStudy) -> Iterator[Path]:
    """The folder with <side>.h5 of each predicted side of the split; a baseline's is made, and goes afterwards."""
    if not job.is_baseline:
        yield job.folder / "predictions"
        return
    with tempfile.TemporaryDirectory() as temporary:
        for side in dict.fromkeys(["test", *study.predict.splits]):
            baselines.predict(job, study, side, Path(temporary) / f"{side}.h5")
        yield Path(temporary)


def named_rows(examples: Examples, named: dict[str, int]) -> pd.DataFrame:
    """A row an example: run, seed, what names the tile, its group."""
    rows = examples.plan[ROW].assign(group=groups(examples.plan))
    rows.insert(0, "run", named["run"])
    rows.insert(1, "seed", named["seed"])
    return rows


def count_pixels(study: PixelStudy, examples: Examples, path: Path, kept: Any = None) -> pixel.Counts:
    """Pixels of each truth and predicted class of each example, (N, C, C), from a file of predictions.

    The predicted maps go into the open file `kept`, where there is one: some are in memory at a time, never all.
    """
    size = len(study.classes)
    counts = np.zeros((len(examples), size, size), np.int64)
    with hdf5.reading(path) as file:
        shape = check_predictions(file, path, study.classes, examples)
        copy = None if kept is None else kept.create_dataset("class_map", shape, "u1", compression="gzip")
        step = AT_ONCE if copy is None else copy.chunks[0]  # so that each chunk is compressed once
        for start in range(0, len(examples), step):
            predicted = hdf5.read_array(file, "class_map", slice(start, start + step))
            for position, class_map in enumerate(predicted, start):
                counts[position] = pixel.confusion(examples.class_map(position), class_map, size)
            if copy is not None:
                copy[start : start + step] = predicted
    return counts


def count_table(rows: pd.DataFrame, counts: pixel.Counts) -> pd.DataFrame:
    """Counts (N, C, C) beside the rows that they are of."""
    size = counts.shape[-1]
    return rows.join(pd.DataFrame(counts.reshape(-1, size**2), columns=pixel.columns(size)))


def measure_target(examples: Examples, path: Path) -> Target:
    """Probability of the target (class 1): histograms (N, 2, STEPS), mean percentages in cells (N, HEAT, HEAT)."""
    histograms, heat = [], []
    with hdf5.reading(path) as file:
        for position in range(len(examples)):
            probability = hdf5.read_row(file, "probabilities", position)[1].astype(np.float64)
            histograms.append(curve.histogram(examples.class_map(position), probability))
            cells = probability.reshape(HEAT, probability.shape[0] // HEAT, HEAT, -1).mean(axis=(1, 3))
            heat.append((100 * cells).round().astype(np.uint8))
    return np.stack(histograms), np.stack(heat)


def check_predictions(file: Any, path: Path, classes: Sequence[str], examples: Examples) -> tuple[int, ...]:
    """The shape (N, H, W) of predicted class maps, refused where they belong to another plan or parameters."""
    found = json.loads(hdf5.read_attribute(file, "classes"))
    if found != list(classes):
        raise Problem(
            f"{path} predicts the classes {', '.join(found)} but the study names {', '.join(classes)}; "
            "run `dvc repro` so that the variant is trained again."
        )
    shape: tuple[int, ...] = hdf5.shape_of(file, "class_map")
    expected = (len(examples), *examples.size)
    if shape != expected:
        raise Problem(
            f"{path} holds class maps of shape {shape} but split.csv and the study ask for {expected}; "
            "run `dvc repro` so that the variant predicts again."
        )
    return shape


def groups(plan: pd.DataFrame, root: Path = TILES) -> list[str]:
    """The group of every row's tile, such as its tissue."""
    shards = set(zip(plan["dataset"], plan["shard"], strict=True))
    tables = {(dataset, shard): Shard(root / dataset / f"{shard}.h5").table()["group"] for dataset, shard in shards}
    rows = zip(plan["dataset"], plan["shard"], plan["index"], strict=True)
    return [str(tables[dataset, shard][index]) for dataset, shard, index in rows]
