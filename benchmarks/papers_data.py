"""Stores, predictions and evaluations of the papers' sizes, made out of nothing, for `benchmarks.papers_size`.

Every tile has pixels of its own, but in eight rows alone, and one of a few class maps. What is 0 is not written, so
that a store has the size that the real one would have and takes a small part of its room.
"""

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from pipeline import datasets
from pipeline.base import hdf5, parquet
from pipeline.base.files import write_json, write_sealed
from pipeline.base.paths import TILES, evaluation_folder
from pipeline.base.records import Metrics
from pipeline.base.study import PixelStudy, variant
from pipeline.datasets.bcss.card import INSTITUTIONS
from pipeline.datasets.pannuke.card import TISSUES
from pipeline.plans.job import Job
from pipeline.tiles.plan import TILE
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.trained import write_speed, write_training

KINDS = 8  # different class maps, one after the other
BANDS, AREAS = 8, 9  # rows of a tile that have pixels, and grey areas in each, as `guard` looks at them
EPOCHS = 100  # of a training's curves
REGIONS = {"train": 76, "validation": 30, "test": 45}  # of BCSS's institutions
FOLDS = {"fold1": 2656, "fold2": 2523, "fold3": 2722}  # of PanNuke
LEAST = 10  # shards, tiles or patients, however small the fraction
PATIENTS = 189  # of BRACS's slides

Map = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Size:
    """How much a study's paper has."""

    tiles: int
    shards: int


@dataclass(frozen=True)
class Part:
    """A shard that is to be made."""

    name: str
    count: int
    groups: Sequence[str]  # of its tiles, one after the other
    patient: str = ""
    slide: str = ""


@dataclass(frozen=True)
class Kind:
    """What tiles of one kind hold."""

    class_map: Map
    instance_map: npt.NDArray[np.int32]
    nuclei: dict[int, int]
    bits: Map | None


SIZES = {"bcss": Size(57_000, 151), "bracs": Size(200_000, 547), "pannuke": Size(7_901, 3)}


class SparseWriter(ShardWriter):
    """Writes of a tile the rows of pixels that are not 0."""

    def _write(self, name: str, index: int, array: npt.NDArray[Any] | None) -> None:
        if array is not None:
            write_rows(self._file[name], (index,), array)


def write_rows(data: Any, place: tuple[int, ...], array: npt.NDArray[Any]) -> None:
    """Write (H, W, ...) at a place of an array (..., H, W, ...) of a file, without the rows that are 0."""
    rows = np.flatnonzero(array.reshape(len(array), -1).any(axis=1))
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        if run.size:
            data[(*place, slice(run[0], run[-1] + 1))] = array[run[0] : run[-1] + 1]


def parts(study: str, scale: float) -> list[Part]:
    """The shards of a fraction of a study's data."""
    if study == "pannuke":
        return [Part(name, max(LEAST, round(count * scale)), TISSUES) for name, count in FOLDS.items()]
    size, found = SIZES[study], []
    if study == "bracs":
        count, people = (max(LEAST, round(whole * scale)) for whole in (size.shards, PATIENTS))
        each = max(LEAST, round(size.tiles * scale / count))
        return [Part(f"S{n:04}", each, [""], f"P{n % people}", f"S{n:04}") for n in range(count)]
    regions = {side: max(3, round(count * scale)) for side, count in REGIONS.items()}
    each = max(LEAST, round(size.tiles * scale / sum(regions.values())))
    for side, count in regions.items():
        for n in range(count):
            taken = INSTITUTIONS[side][n % len(INSTITUTIONS[side])]
            patient = f"TCGA-{taken}-A{n:03}"
            found.append(Part(f"{patient}-DX1", each, [taken], patient, patient))
    return found


def kinds(study: str, side: int) -> list[Kind]:
    """The class maps of a study's tiles, with nuclei in a grid, areas, or, every second, a lesion at its upper edge."""
    random = np.random.default_rng(0)
    none, found = np.zeros((side, side), np.int32), []
    for number in range(KINDS):
        class_map, instance_map, nuclei = np.zeros((side, side), np.uint8), none, {}
        if study == "pannuke":  # about as many nuclei as it has
            instance_map, pitch = none.copy(), side // 6
            for nucleus in range(24):
                y, x = (pitch * step + int(random.integers(pitch // 2)) for step in divmod(nucleus, 6))
                place = np.s_[y : y + pitch // 2, x : x + pitch // 2]
                nuclei[nucleus + 1] = int(random.integers(1, 6))
                class_map[place], instance_map[place] = nuclei[nucleus + 1], nucleus + 1
        elif study == "bcss":
            areas = random.integers(0, 21, (8, 8)).astype(np.uint8)
            class_map[:] = np.kron(areas, np.ones((math.ceil(side / 8),) * 2, np.uint8))[:side, :side]
        elif number % 2:
            class_map[: side // 8, : side // (1 + number)] = 3
        bits = np.where(class_map, 4, 0).astype(np.uint8) if study == "bracs" else None
        found.append(Kind(class_map, instance_map, nuclei, bits))
    return found


def draw(random: np.random.Generator, side: int) -> npt.NDArray[np.uint8]:
    """An image (side, side, 3) unlike all others, black but for eight rows."""
    image = np.zeros((side, side, 3), np.uint8)
    levels = np.repeat(random.integers(0, 256, (BANDS, AREAS)), math.ceil(side / AREAS), axis=1)[:, :side]
    image[np.arange(BANDS) * side // BANDS + side // (2 * BANDS)] = (levels ^ np.arange(side) % 8)[..., None]
    return image


def write_store(study: str, scale: float, side: int) -> None:
    """Write data/tiles of a study, and beside slides what `convert` draws of them."""
    card, made = datasets.load_card(study), kinds(study, side)
    info = ShardInfo(
        study, card.classes, 0.25, 40.0, "official", "0" * 64, card.licence, card.licence_url, card.citation
    )
    random = np.random.default_rng(0)
    for part in parts(study, scale):
        path = TILES / study / f"{part.name}.h5"
        with SparseWriter(path, part.count, side, info, bits=study == "bracs") as shard:
            for index in range(part.count):
                kind, group = made[index % KINDS], part.groups[index % len(part.groups)]
                held = (kind.class_map, kind.instance_map, kind.nuclei)
                place = side * (index % 20), side * (index // 20)
                shard.add(
                    Tile(draw(random, side), *held, index, part.patient, part.slide, *place, group, bits=kind.bits)
                )
        if study == "bracs":
            for name in (f"{part.name}.jpg", f"{part.name}.thumbnail.jpg"):
                Image.new("RGB", (640, 640), "white").save(path.with_name(name))
            write_json(
                path.with_name(f"{part.name}.outlines.json"), {"downsample": side / 32, "tile": 32, "outlines": []}
            )


def predicted(study: str, settings: PixelStudy, side: int) -> list[Map]:
    """What a made-up model predicts of each kind of tile, (S, S) at the size that it sees: some of it wrong."""
    step, random, found = side // settings.tile_size, np.random.default_rng(1), []
    for kind in kinds(study, side):
        truth = kind.class_map[::step, ::step]
        truth = (truth == 3).astype(np.uint8) if study == "bracs" else truth
        blocks = random.random((8, 8)).repeat(truth.shape[0] // 8, axis=0).repeat(truth.shape[1] // 8, axis=1)
        wrong = np.zeros(truth.shape, np.bool_)
        wrong[: blocks.shape[0], : blocks.shape[1]] = blocks < 0.2
        other = (truth + 1) % len(settings.classes)
        wrong[len(truth) // 8 :] &= study != "bracs"
        found.append(np.where(wrong, other, truth).astype(np.uint8))
    return found


def write_predictions(job: Job, side: int) -> None:
    """training/ and predictions/ of a U-Net, as `train` and `predict` leave them."""
    study = job.settings
    assert isinstance(study, PixelStudy)
    maps = predicted(job.study, study, side)
    codes = np.arange(len(study.classes))[:, None, None]
    soft = [np.where(found == codes, 0.8, 0).astype(np.float16) for found in maps]
    if study.target:
        for values in soft:
            values[0] = 0  # nobody reads it
    (job.folder / "predictions").mkdir(parents=True)
    for part in dict.fromkeys(["test", *study.predict.splits]):
        rows = job.rows(part)["index"].to_numpy() % KINDS
        keeps_soft = study.predict.probabilities and part == "test"
        with hdf5.create(job.folder / "predictions" / f"{part}.h5") as file:
            hdf5.write_attribute(file, "classes", "[" + ", ".join(f'"{name}"' for name in study.classes) + "]")
            class_map = file.create_dataset("class_map", (len(rows), *maps[0].shape), "u1")
            sums = {"class_map": [hdf5.crc(found) for found in maps]}
            if keeps_soft:
                probabilities = file.create_dataset("probabilities", (len(rows), *soft[0].shape), "f2")
                sums["probabilities"] = [hdf5.crc(values) for values in soft]
            for row, kind in enumerate(rows):
                write_rows(class_map, (row,), maps[kind])
                for code in range(len(codes) if keeps_soft else 0):
                    write_rows(probabilities, (row, code), soft[kind][code])
            for name, values in sums.items():
                hdf5.write_sums(file, name, (values[kind] for kind in rows))
    write_epochs(job)
    write_speed(job.folder, len(job.rows("test")))


def write_classified(job: Job) -> None:
    """training/ and predictions/ of a classifier of tiles."""
    table = job.split[[*TILE, "patient", "slide", "split"]]
    found = np.random.default_rng(0).random(len(table))
    (job.folder / "predictions").mkdir(parents=True)
    text = table.assign(probability=found).to_csv(index=False, lineterminator="\n", float_format="%.6f")
    write_sealed(job.folder / "predictions" / "predictions.csv", text)
    write_epochs(job)


def write_epochs(job: Job) -> None:
    epochs = np.arange(1, EPOCHS + 1)
    curves = {"epoch": epochs, "train_loss": 1 / epochs, "validation_loss": 1.1 / epochs}
    curves |= {f"{side}_accuracy": 1 - 0.5 / epochs for side in ("train", "validation")}
    curves |= {"validation_mean_iou": 1 - 0.6 / epochs, "learning_rate": 0.001}
    named = {"study": job.study, "run": job.run, "seed": job.seed}
    write_training(job.folder, pd.DataFrame(curves), job.variant, job.plan, **named)


def jobs(study: PixelStudy, encoder: str | None) -> Iterator[Job]:
    """Every training of the study's table, run by run."""
    for run in study.runs:
        for seed in study.seeds:
            for name, plan in study.trained(encoder):
                yield Job(study.study, run, seed, name, plan, *variant(study, name))


def copy_evaluation(source: Path, job: Job, number: int) -> None:
    """The evaluation of another training, from one of the same test tiles: some pixels more are wrong."""
    folder = job.evaluation
    folder.mkdir(parents=True)
    random = np.random.default_rng(number)
    for path in sorted(source.iterdir()):
        if path.suffix == ".h5":
            os.link(path, folder / path.name)
        elif path.suffix == ".parquet":
            table = parquet.read_rows(path).assign(run=job.run, seed=job.seed)
            if "c0_1" in table:
                table["c0_1"] += random.integers(0, 100 * (number + 1), len(table))
            parquet.write_rows(folder / path.name, table)
        elif path.suffix == ".csv":
            curves = pd.read_csv(path).assign(run=job.run, seed=job.seed)
            curves.to_csv(folder / path.name, index=False, lineterminator="\n")
        else:
            shutil.copy(path, folder)
    named = {"variant": job.variant, "plan": job.plan, "run": job.run, "seed": job.seed}
    Metrics.read(source / "metrics.json").model_copy(update=named).write(folder / "metrics.json")


def evaluation(job: Job) -> Path:
    return evaluation_folder(job.study, job.run, job.seed, job.variant, job.plan)
