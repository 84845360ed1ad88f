"""Score one variant in all its runs and seeds: `python -m pipeline.stages.evaluate <study> <encoder> <augmentation>`.

In:  of each run the variant's predictions/ and training/ (a baseline has no training), split.csv, the tile store.
Out: models/<study>/evaluation/<encoder>-<augmentation>/, in which every table has the columns run and seed:
     counts.csv     pixels of each truth and predicted class, a row a test image, at the study's size
     instances.csv  matched, invented and missed nuclei, a row a test image, at the tiles' native size (where the study
                    asks for `instances`)
     train.csv      as counts.csv, of the train rows (where `predict.splits` asks for them)
     histograms.csv pixels of each truth by probability of the target, a row a test image (where the study has one)
     metrics.json   every score, from those counts; nothing in it depends on the machine
     curves.csv, machine.json, class_maps.h5   what reports show of training, speed and predictions
     The scores go to the MLflow run of each training, with a picture.

NumPy and SciPy: this imports no torch, so a change to a metric costs seconds and needs no GPU.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base import tracking
from pipeline.base.errors import Problem, run_stage
from pipeline.base.files import read_json, replacing, write_json
from pipeline.base.params import Study, read_params
from pipeline.base.paths import AUGMENTATIONS, BASELINES, evaluation_folder, variant_folder
from pipeline.metrics import curve, pixel
from pipeline.nuclei import comparison
from pipeline.plans.census import count_nuclei
from pipeline.reporting import pictures
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import plan_folder, read_plan
from pipeline.tiles.store import Shard

ROW = ["dataset", "shard", "index", "patient", "slide"]  # what names a test image, beside run and seed
HEAT = 8  # cells on a side of a tile, in which class_maps.h5 keeps the mean probability of the target
DESCRIBED = ("epochs_run", "best_epoch", "weights_sha256")  # of training.json, for each run


@dataclass(frozen=True)
class Evaluated:
    """One run of the variant with one seed, scored."""

    name: dict[str, int]  # run and seed
    folder: Path  # of its predictions and training
    examples: Examples
    class_maps: npt.NDArray[np.uint8]  # (N, H, W), predicted
    images: pd.DataFrame  # a row a test image: run, seed, what names it, its group
    counts: pixel.Counts  # (N, C, C)
    instances: pd.DataFrame | None  # counts of `comparison.compare`, N rows
    train: pd.DataFrame | None  # counts of the train rows
    target: tuple[curve.Counts, npt.NDArray[np.uint8]] | None  # histograms (N, 2, STEPS); heat, (N, HEAT, HEAT)
    scores: dict[str, Any]
    training: dict[str, Any]  # training.json and speed.json; empty for a baseline
    speed: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="Score one variant in all its runs, with all its seeds.")
    parser.add_argument("study")
    parser.add_argument("encoder")
    parser.add_argument("augmentation", choices=AUGMENTATIONS)
    arguments = parser.parse_args()
    params = read_params()
    names = (arguments.encoder, arguments.augmentation)
    study = params.study(arguments.study)  # without what a variant changes: all are scored in the same way
    runs = []
    for number in study.runs.numbers:
        plan = plan_folder(arguments.study, number, params.seed) / "split.csv"
        for seed in params.seeds(arguments.study):
            folder = variant_folder(arguments.study, number, seed, *names)
            runs.append(
                evaluate(study, {"run": number, "seed": seed}, plan, folder, arguments.encoder not in BASELINES)
            )
    write_evaluation(evaluation_folder(arguments.study, *names), *names, runs)
    for run in runs:
        if run.training:
            track(run, study.classes)


def evaluate(study: Study, name: dict[str, int], plan_path: Path, folder: Path, trained: bool) -> Evaluated:
    """Score the predictions that lie in the folder of one run and seed (`name`) of a variant."""
    plan = read_plan(plan_path)
    examples = Examples.of(plan[plan["split"] == "test"], study)
    path = folder / "predictions" / "predictions.h5"
    predicted = read_predictions(path, study.classes, examples)
    counts = count_pixels(study, examples, path)
    instances = comparison.compare(examples, path, study.classes, study.instances) if study.instances else None
    images = named_rows(examples, name)
    train = None
    if "train" in study.predict.splits:
        rows = Examples.of(plan[plan["split"] == "train"], study)
        train = count_table(named_rows(rows, name), count_pixels(study, rows, folder / "predictions" / "train.h5"))
    target = measure_target(examples, path) if study.target else None
    scores = pixel.score(counts, study.classes)
    annotated = count_nuclei(examples.plan, len(study.classes)).sum(axis=0)
    for code, class_name in enumerate(study.classes):
        scores["per_class"][class_name]["nuclei"] = None if class_name == pixel.BACKGROUND else int(annotated[code])
    if instances is not None:
        scores["instances"] = comparison.score(instances, images["group"].tolist(), study.classes)
    training = read_json(folder / "training" / "training.json") if trained else {}
    speed = read_json(folder / "predictions" / "speed.json") if trained else {}
    if target is not None:
        scores["average_precision"] = pixel.number(curve.average_precision(target[0].sum(axis=0)))
    return Evaluated(
        name, folder, examples, predicted, images, counts, instances, train, target, scores, training, speed
    )


def named_rows(examples: Examples, name: dict[str, int]) -> pd.DataFrame:
    """A row an example: run, seed, what names the tile, its group."""
    rows = examples.plan[ROW].assign(group=groups(examples.plan))
    rows.insert(0, "run", name["run"])
    rows.insert(1, "seed", name["seed"])
    return rows


def count_pixels(study: Study, examples: Examples, path: Path) -> pixel.Counts:
    """Pixels of each truth and predicted class of each example, (N, C, C), from a file of predictions."""
    predicted = read_predictions(path, study.classes, examples)
    size = len(study.classes)
    return np.stack([pixel.confusion(examples.class_map(i), predicted[i], size) for i in range(len(examples))])


def count_table(rows: pd.DataFrame, counts: pixel.Counts) -> pd.DataFrame:
    """Counts (N, C, C) beside the rows that they are of."""
    size = counts.shape[-1]
    return rows.join(pd.DataFrame(counts.reshape(-1, size**2), columns=pixel.columns(size)))


def measure_target(examples: Examples, path: Path) -> tuple[curve.Counts, npt.NDArray[np.uint8]]:
    """Probability of the target (class 1): histograms (N, 2, STEPS), mean percentages in cells (N, HEAT, HEAT)."""
    histograms, heat = [], []
    with h5py.File(path, "r") as file:
        for position in range(len(examples)):
            probability = file["probabilities"][position, 1].astype(np.float64)
            histograms.append(curve.histogram(examples.class_map(position), probability))
            cells = probability.reshape(HEAT, probability.shape[0] // HEAT, HEAT, -1).mean(axis=(1, 3))
            heat.append((100 * cells).round().astype(np.uint8))
    return np.stack(histograms), np.stack(heat)


def read_predictions(path: Path, classes: Sequence[str], examples: Examples) -> npt.NDArray[np.uint8]:
    """Predicted class maps (N, H, W) of the examples, refused where they belong to another plan or parameters."""
    try:
        with h5py.File(path, "r") as file:
            found = json.loads(file.attrs["classes"])
            maps: npt.NDArray[np.uint8] = file["class_map"][:]
    except (OSError, KeyError) as error:
        raise Problem(f"{path} holds no readable predictions ({error}); run `dvc repro` again.") from None
    if found != list(classes):
        raise Problem(
            f"{path} predicts the classes {', '.join(found)} but params.yaml names {', '.join(classes)}; "
            "run `dvc repro` so that the variant is trained again."
        )
    if not len(examples):
        raise Problem("split.csv holds no test tile; give the test split a share above 0 in params.yaml.")
    expected = (len(examples), *examples.size)
    if maps.shape != expected:
        raise Problem(
            f"{path} holds class maps of shape {maps.shape} but split.csv and params.yaml ask for {expected}; "
            "run `dvc repro` so that the variant predicts again."
        )
    return maps


def groups(plan: pd.DataFrame, root: Path = Path("data/tiles")) -> list[str]:
    """The group of every row's tile, such as its tissue."""
    shards = set(zip(plan["dataset"], plan["shard"], strict=True))
    tables = {(dataset, shard): Shard(root / dataset / f"{shard}.h5").table()["group"] for dataset, shard in shards}
    rows = zip(plan["dataset"], plan["shard"], plan["index"], strict=True)
    return [str(tables[dataset, shard][index]) for dataset, shard, index in rows]


def write_evaluation(folder: Path, encoder: str, augmentation: str, runs: Sequence[Evaluated]) -> None:
    """Write all files of the folder or none."""
    tables = {"counts": [count_table(run.images, run.counts) for run in runs]}
    if train := [run.train for run in runs if run.train is not None]:
        tables["train"] = train
    if histograms := [
        run.images.join(pd.DataFrame(run.target[0].reshape(len(run.images), -1), columns=curve.COLUMNS))
        for run in runs
        if run.target is not None
    ]:
        tables["histograms"] = histograms
    if instances := [run.images.join(run.instances) for run in runs if run.instances is not None]:
        tables["instances"] = instances
    if runs[0].training:
        curves = [pd.read_csv(run.folder / "training" / "curves.csv") for run in runs]
        tables["curves"] = [
            pd.concat([pd.DataFrame(run.name, index=table.index), table], axis=1)
            for run, table in zip(runs, curves, strict=True)
        ]
    with replacing(folder) as temporary:
        temporary.mkdir()
        for name, parts in tables.items():
            pd.concat(parts).to_csv(temporary / f"{name}.csv", index=False, lineterminator="\n")
        write_json(temporary / "metrics.json", describe(encoder, augmentation, runs))
        machine = [run.name | {"training": run.training.get("machine"), "speed": run.speed or None} for run in runs]
        write_json(temporary / "machine.json", machine)
        with h5py.File(temporary / "class_maps.h5", "w") as file:
            for run in runs:
                name = "run{run}-seed{seed}".format(**run.name)
                file.create_dataset(name, data=run.class_maps, compression="gzip")
                if run.target is not None:
                    file.create_dataset(f"heat-{name}", data=run.target[1], compression="gzip")


def describe(encoder: str, augmentation: str, runs: Sequence[Evaluated]) -> dict[str, Any]:
    """The content of metrics.json; what a baseline has not is None."""
    first = runs[0]
    return {
        "encoder": encoder,
        "augmentation": augmentation,
        **{key: first.training.get(key) for key in ("weights", "parameters", "trainable_parameters")},
        "flops_per_image": first.speed.get("flops_per_image"),
        "runs": [run.name | {key: run.training.get(key) for key in DESCRIBED} | {"scores": run.scores} for run in runs],
    }


def example_rows(run: Evaluated) -> list[pictures.Row]:
    """The tile that scores best, one in the middle, and the one that scores worst."""
    scores = pixel.mean(pixel.iou(run.counts))
    order = np.argsort(-scores, kind="stable")
    return [
        pictures.Row(f"mean IoU {scores[i]:.3f}", run.examples.image(i), run.examples.class_map(i), run.class_maps[i])
        for i in dict.fromkeys(int(order[k]) for k in (0, len(order) // 2, -1))
    ]


def track(run: Evaluated, classes: Sequence[str]) -> None:
    """Add the scores, the speed that `predict` measured and a picture to the run of this training in MLflow."""
    training = run.training
    variant, sha256 = training["variant"], training["weights_sha256"]
    key = run.folder.relative_to("models").as_posix()
    with (
        tempfile.TemporaryDirectory() as temporary,
        tracking.variant_run(training["study"], variant, key, weights_sha256=sha256) as log,
    ):
        picture = Path(temporary) / "examples.png"
        pictures.save(pictures.strip(example_rows(run), classes), picture)
        log.metrics(run.scores)
        log.metrics({name: run.speed[name] for name in ("images_per_second", "flops_per_image", "parameters")})
        log.artifact(picture, "pictures")


if __name__ == "__main__":
    run_stage(main)
