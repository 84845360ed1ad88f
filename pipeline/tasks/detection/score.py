"""How a detector is scored: its detections against the nuclei, and the class of each image by their vote.

NumPy and SciPy: this imports no torch.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base import hdf5
from pipeline.base.errors import Problem
from pipeline.base.parquet import write_rows
from pipeline.base.paths import TILES
from pipeline.base.records import Scores
from pipeline.metrics import average_precision
from pipeline.metrics.pixel import BACKGROUND, number
from pipeline.metrics.votes import RIGHT, FloatArray, Found, Labels, Side, table, vote
from pipeline.plans.job import Job
from pipeline.tasks.detection.baselines import BASELINES
from pipeline.tasks.evaluation import write_records
from pipeline.tiles.examples import Examples
from pipeline.tiles.objects import Masks, Objects
from pipeline.tiles.plan import SPLITS
from pipeline.tiles.store import Image, InstanceMap, Shard

ROW = ["dataset", "shard", "index", "patient", "slide"]  # what names an image


def score(job: Job, folder: Path) -> None:
    """Write what was measured of a detector, or of a baseline, which has only votes.parquet and the records.

    votes.parquet       a row an image of each side: class, call, nuclei, detections, votes, nuclei of each class
    detections.parquet  a row a detection: image (its position on its side), label (class code from 0), score, whether
                        it is right at each IoU (50 to 95), side
    shown.h5            what was found in the first test image of each class, for pictures
    curves.csv          of the training
    metrics.json        every score of each side; nothing in it depends on the machine
    machine.json        on what it was trained, and how fast it predicts
    """
    study = job.settings
    rows = {side: job.rows(side) for side in SPLITS}
    sides = {side: Examples.of(mine, study) for side, mine in rows.items() if len(mine)}
    classes = [name for name in study.classes if name != BACKGROUND]
    truths = {side: true_classes(examples, classes) for side, examples in sides.items()}
    votes, detections, scores = [], [], {}
    for side, examples in sides.items():
        truth = truths[side]
        nuclei, found = np.zeros((len(truth), len(classes))), None
        counted = np.zeros(len(truth), np.int64)
        if job.is_baseline:
            known = images(sides["train"]), truths["train"]
            cast = BASELINES[job.variant](*known, images(examples), len(classes))
        else:
            path = job.folder / "predictions" / "detections.h5"
            objects = list(read_objects(path, side, study.classes, len(examples)))
            nuclei, matches = match_nuclei(examples, objects, len(classes))
            cast = np.array([vote(each.labels - 1, each.scores, len(classes)) for each in objects])
            counted = np.array([len(each.labels) for each in objects])
            found = Found.of(matches, nuclei)
            detections.append(matches.assign(split=side))
            if side == "test":
                write_shown(folder / "shown.h5", objects, truth)
        scores[side] = describe_side(Side(truth, cast, classes, found))
        votes.append(
            pd.concat([examples.plan[ROW], table(truth, cast, nuclei, counted, classes)], axis=1).assign(split=side)
        )
    write_rows(folder / "votes.parquet", pd.concat(votes).assign(run=job.run, seed=job.seed))
    if not job.is_baseline:
        write_rows(folder / "detections.parquet", pd.concat(detections))
    write_records(job, folder, scores)


def true_classes(examples: Examples, classes: list[str]) -> Labels:
    """The class of each image, by code from 0, from the group that the tile store gives it: `InSitu` is `in_situ`.

    Raises:
        Problem: a group is none of the classes.
    """
    codes = {name.replace("_", "").lower(): code for code, name in enumerate(classes)}
    found = np.zeros(len(examples), np.int64)
    for (dataset, shard), rows in examples.plan.groupby(["dataset", "shard"], sort=False):
        path = TILES / str(dataset) / f"{shard}.h5"
        for position, group in zip(rows.index, Shard(path).table()["group"].iloc[rows["index"]], strict=True):
            code = codes.get(group.replace("_", "").lower())
            if code is None:
                raise Problem(
                    f"{path} calls an image {group}, which is none of {', '.join(classes)}; look at the data."
                )
            found[position] = code
    return found


def images(examples: Examples) -> list[Image]:
    """The image of each example."""
    return [examples.image(position) for position in range(len(examples))]


def read_objects(path: Path, side: str, classes: Sequence[str], count: int) -> Iterator[Objects]:
    """What was found in each of the `count` images of a side, refused where it belongs to another plan or classes.

    Raises:
        Problem: the file is missing, broken, or of another plan or other classes.
    """
    try:
        with hdf5.reading(path) as file:
            found, group = json.loads(hdf5.read_attribute(file, "classes")), file[side]
            if found != list(classes) or group.attrs["images"] != count:
                raise Problem(f"{path} was made with another plan or other classes; run `dvc repro` again.")
            width = int(group.attrs["width"])
            ends = np.searchsorted(group["image"][:], np.arange(count + 1))
            for start, end in pairwise(ends):
                masks = np.unpackbits(group["masks"][start:end], axis=2, count=width).astype(bool)
                boxes, labels, scores = (group[name][start:end] for name in ("boxes", "labels", "scores"))
                yield Objects(boxes, labels.astype(np.int64), scores, masks)
    except hdf5.BROKEN as error:
        raise hdf5.unreadable(path, error) from None


def match_nuclei(examples: Examples, found: Sequence[Objects], classes: int) -> tuple[FloatArray, pd.DataFrame]:
    """The nuclei of each class in each image (N, classes), and a row a detection: image, label, score, right_50, ..."""
    nuclei, rows = np.zeros((len(examples), classes)), []
    for position, objects in enumerate(found):
        instance_map, codes = examples.instances(position)
        ids = np.unique(instance_map[instance_map > 0])
        labels = np.array([codes[int(number)] for number in ids], np.int64)
        right = np.zeros((len(objects.labels), len(RIGHT)), bool)
        for code in range(1, classes + 1):
            nuclei[position, code - 1] = (labels == code).sum()
            mine = objects.labels == code
            iou = overlaps(objects.masks[mine], instance_map, ids[labels == code])
            right[mine] = average_precision.match(iou)
        named = {"image": position, "label": objects.labels - 1, "score": objects.scores}
        rows.append(pd.DataFrame({**named, **dict(zip(RIGHT, right.T.astype(int), strict=True))}))
    return nuclei, pd.concat(rows, ignore_index=True)


def overlaps(masks: Masks, instance_map: InstanceMap, ids: npt.NDArray[np.int32]) -> FloatArray:
    """IoU of masks (n, H, W) with the instances `ids` (m,) of a map (H, W), (n, m).

    Instances of a map never overlap, so that one look at each mask's pixels finds what it shares with all of them.
    """
    areas = np.bincount(instance_map.ravel())
    shared = np.stack(
        [np.bincount(instance_map[mask], minlength=len(areas)) for mask in masks] or [np.zeros(len(areas), np.int64)]
    )[: len(masks), ids]
    union = masks.sum(axis=(1, 2))[:, None] + areas[ids] - shared
    return np.asarray(shared / union, np.float64)


def describe_side(side: Side) -> Scores:
    """What metrics.json says of a side."""
    scores = {name: number(values[0]) for name, values in side.scores().items()}
    return {"images": len(side.truth), "confusion": side.confusion(), "scores": scores}


def write_shown(path: Path, found: Sequence[Objects], truth: Labels) -> None:
    """Keep what was found in the first image of each class, a group each, named by the image's position."""
    with hdf5.create(path) as file:
        for code in np.unique(truth):
            position = int(np.argmax(truth == code))
            group = file.create_group(str(position))
            for name, values in asdict(found[position]).items():
                group.create_dataset(name, data=values, compression="gzip" if values.size else None)
