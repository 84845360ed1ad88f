"""Score a detector: `python -m pipeline.stages.evaluate_detector <study> <encoder> <augmentation>`.

`constant` and `colour` (see pipeline.tasks.detection.baselines) take the place of an encoder, and need no predictions.

In:  the variant's predictions/ and training/, split.csv, the tile store.
Out: models/<study>/evaluation/<encoder>-<augmentation>/:
     votes.csv       a row an image of each side: class, call, nuclei, detections, votes
     detections.csv  a row a detection: image, class, score, whether it is right at each IoU (50 to 95)
     metrics.json    every score with its interval, of each side; nothing in it depends on the machine
     shown.h5        what was found in the first test image of each class, for pictures
     curves.csv, machine.json
     The scores go to the MLflow run of the training.

An image's class is the score-weighted vote of its detections. NumPy and SciPy: this imports no torch.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from pipeline.base import tracking
from pipeline.base.errors import Problem, run_stage
from pipeline.base.files import read_json, replacing, write_json
from pipeline.base.params import Study, read_params
from pipeline.base.paths import AUGMENTATIONS, evaluation_folder, variant_folder
from pipeline.metrics import average_precision
from pipeline.metrics.pixel import BACKGROUND, number
from pipeline.metrics.votes import FloatArray, Found, Labels, Side, table, vote
from pipeline.tasks.detection.baselines import BASELINES
from pipeline.tiles.examples import Examples
from pipeline.tiles.objects import Objects, overlaps
from pipeline.tiles.plan import SPLITS, plan_folder, read_plan
from pipeline.tiles.store import Image, Shard

ROW = ["dataset", "shard", "index", "patient", "slide"]  # what names an image
DESCRIBED = ("weights", "parameters", "trainable_parameters", "epochs_run", "best_epoch", "weights_sha256")
COLUMNS = [f"right_{round(100 * threshold)}" for threshold in average_precision.THRESHOLDS]


def main() -> None:
    parser = argparse.ArgumentParser(description="Score a detector, or a baseline of images.")
    parser.add_argument("study")
    parser.add_argument("encoder")
    parser.add_argument("augmentation", choices=AUGMENTATIONS)
    arguments = parser.parse_args()
    params = read_params()
    study = params.study(arguments.study)  # without what a variant changes: all are scored in the same way
    run = {"run": study.runs.first, "seed": params.seed}
    names = (arguments.encoder, arguments.augmentation)
    plan = read_plan(plan_folder(arguments.study, run["run"], params.seed) / "split.csv")
    sides = {side: Examples.of(rows, study) for side in SPLITS if len(rows := plan[plan["split"] == side])}
    folder = variant_folder(arguments.study, run["run"], run["seed"], *names)
    trained = arguments.encoder not in BASELINES
    training = read_json(folder / "training" / "training.json") if trained else {}
    classes = [name for name in study.classes if name != BACKGROUND]
    votes, detections, scores = [], [], {}
    with replacing(evaluation_folder(arguments.study, *names)) as temporary:
        temporary.mkdir()
        for side, examples in sides.items():
            truth = true_classes(examples, classes)
            nuclei, matches, found = np.zeros((len(truth), len(classes))), pd.DataFrame({"image": []}), None
            if trained:
                objects = list(read_objects(folder / "predictions" / "detections.h5", side, study, examples))
                nuclei, matches = compare(examples, objects, len(classes))
                cast = np.array([vote(each.labels - 1, each.scores, len(classes)) for each in objects])
                found = as_found(matches, nuclei)
                detections.append(matches.assign(split=side))
                if side == "test":
                    write_shown(temporary / "shown.h5", objects, truth)
            else:
                known = true_classes(sides["train"], classes)
                cast = BASELINES[arguments.encoder](images(sides["train"]), known, images(examples), len(classes))
            scores[side] = describe(Side(truth, cast, patients(examples), classes, found, params.seed))
            counted = np.bincount(matches["image"].to_numpy(np.int64), minlength=len(truth))
            rows = table(truth, cast, nuclei.sum(axis=1), counted, classes)
            votes.append(pd.concat([examples.plan[ROW], rows], axis=1).assign(split=side))
        write_csv(pd.concat(votes).assign(**run), temporary / "votes.csv")
        record = {"encoder": names[0], "augmentation": names[1], **run}
        write_json(temporary / "metrics.json", record | {k: training.get(k) for k in DESCRIBED} | {"sides": scores})
        if trained:
            write_csv(pd.concat(detections), temporary / "detections.csv")
            write_csv(pd.read_csv(folder / "training" / "curves.csv"), temporary / "curves.csv")
            speed = read_json(folder / "predictions" / "speed.json")
            write_json(temporary / "machine.json", {"training": training["machine"], "speed": speed})
    if trained:
        track(training, folder, scores)


def true_classes(examples: Examples, classes: list[str]) -> Labels:
    """The class of each image, by code from 0, from the group that the tile store gives it: `InSitu` is `in_situ`."""
    codes = {name.replace("_", ""): code for code, name in enumerate(classes)}
    found = []
    for dataset, shard, index in examples.plan[["dataset", "shard", "index"]].itertuples(index=False):
        path = Path("data/tiles") / dataset / f"{shard}.h5"
        group = Shard(path).table()["group"][index]
        if group.lower() not in codes:
            raise Problem(f"{path} calls an image {group}, which is none of {', '.join(classes)}; look at the data.")
        found.append(codes[group.lower()])
    return np.array(found)


def images(examples: Examples) -> list[Image]:
    """The image of each example."""
    return [examples.image(position) for position in range(len(examples))]


def patients(examples: Examples) -> list[str]:
    """The patient of each image, "" where unknown."""
    rows = examples.plan
    return list((rows["dataset"] + " " + rows["patient"]).where(rows["patient"] != "", ""))


def read_objects(path: Path, side: str, study: Study, examples: Examples) -> Iterator[Objects]:
    """What was found in each image of a side, refused where it belongs to another plan or parameters."""
    try:
        with h5py.File(path, "r") as file:
            classes, group = json.loads(file.attrs["classes"]), file[side]
            if classes != study.classes or group.attrs["images"] != len(examples):
                raise Problem(f"{path} was made with another plan or other classes; run `dvc repro` again.")
            width = int(group.attrs["width"])
            ends = np.searchsorted(group["image"][:], np.arange(len(examples) + 1))
            for start, end in pairwise(ends):
                masks = np.unpackbits(group["masks"][start:end], axis=2, count=width).astype(bool)
                columns = (group[name][start:end] for name in ("boxes", "labels", "scores"))
                boxes, labels, scores = columns
                yield Objects(boxes, labels.astype(np.int64), scores, masks)
    except (OSError, KeyError) as error:
        raise Problem(f"{path} holds no readable detections ({error}); run `dvc repro` again.") from None


def compare(examples: Examples, found: Sequence[Objects], classes: int) -> tuple[FloatArray, pd.DataFrame]:
    """The nuclei of each class in each image (N, classes), and a row a detection: image, label, score, right_50, ..."""
    nuclei, rows = np.zeros((len(examples), classes)), []
    for position, objects in enumerate(found):
        instance_map, codes = examples.instances(position)
        ids = np.unique(instance_map[instance_map > 0])
        labels = np.array([codes[int(number)] for number in ids], np.int64)
        right = np.zeros((len(objects.labels), len(average_precision.THRESHOLDS)), bool)
        for code in range(1, classes + 1):
            nuclei[position, code - 1] = (labels == code).sum()
            mine = objects.labels == code
            iou = overlaps(objects.masks[mine], instance_map, ids[labels == code])
            right[mine] = average_precision.match(iou)
        named = {"image": position, "label": objects.labels - 1, "score": objects.scores}
        rows.append(pd.DataFrame({**named, **dict(zip(COLUMNS, right.T.astype(int), strict=True))}))
    return nuclei, pd.concat(rows, ignore_index=True)


def as_found(matches: pd.DataFrame, nuclei: FloatArray) -> Found:
    """Detections by falling score."""
    ordered = matches.sort_values("score", ascending=False, kind="stable")
    right = ordered[COLUMNS].to_numpy(bool)
    return Found(ordered["image"].to_numpy(), ordered["label"].to_numpy(), right, nuclei)


def describe(side: Side) -> dict[str, Any]:
    """What metrics.json says of a side."""
    figures = {
        name: {key: number(value) for key, value in asdict(figure).items() if key != "units"}
        for name, figure in side.figures().items()
    }
    return {"images": len(side.truth), "units": side.units, "scores": figures, "confusion": side.confusion()}


def write_shown(path: Path, found: Sequence[Objects], truth: Labels) -> None:
    """Keep what was found in the first image of each class, a group each, named by the image's position."""
    with h5py.File(path, "w") as file:
        for code in np.unique(truth):
            position = int(np.argmax(truth == code))
            group = file.create_group(str(position))
            for name, values in asdict(found[position]).items():
                group.create_dataset(name, data=values, compression="gzip" if values.size else None)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n", float_format="%.6g")


def track(training: dict[str, Any], folder: Path, scores: dict[str, Any]) -> None:
    """Add the scores to the run of this training in MLflow."""
    key, sha256 = folder.relative_to("models").as_posix(), training["weights_sha256"]
    with tracking.variant_run(training["study"], training["variant"], key, weights_sha256=sha256) as log:
        for side, found in scores.items():
            log.metrics({side: {name: figure["value"] for name, figure in found["scores"].items()}})


if __name__ == "__main__":
    run_stage(main)
