"""The nuclei of predicted tiles, found at native size and compared with the true ones, counted tile by tile."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from pipeline.base import hdf5
from pipeline.base.study_blocks import Instances
from pipeline.metrics import detection, instance
from pipeline.metrics.pixel import BACKGROUND, number
from pipeline.nuclei import watershed
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import IGNORE, ClassMap

PUBLISHED_MICRONS = 0.25  # um a pixel at 40x, for which `detection.RADIUS` is given


def compare(
    examples: Examples, predictions: Path, classes: Sequence[str], settings: Instances
) -> tuple[pd.DataFrame, list[ClassMap]]:
    """Counts of every example, and its predicted class map (H, W) at native size, in which nuclei were found.

    A row each: `binary_*`, `detection_*`, and for each nucleus class `<class>_*`.

    `components_*` are the counts of all nuclei once more, with every connected piece taken for one nucleus: what
    another method of finding them is worth shows beside it.

    Args:
        examples: the test tiles.
        predictions: the predictions (test.h5) of these tiles, in their order.
        classes: names, by their codes.
        settings: how nuclei are found in a class map.
    """
    codes = [code for code, name in enumerate(classes) if name != BACKGROUND]
    names = [classes[code] for code in codes]
    rows, native = [], []
    with hdf5.reading(predictions) as file:
        for position in range(len(examples)):
            truth, truth_map, true_classes = examples.nuclei(position)
            found_map = native_class_map(file, position, truth.shape, len(classes))
            found_map[truth_map == IGNORE] = classes.index(BACKGROUND)
            truth = np.where(truth_map == IGNORE, 0, truth)
            foreground = np.isin(found_map, codes)
            found = watershed.instances(foreground, settings.method, settings.minimum_size)
            found_classes = watershed.classes_of(found, found_map, background=classes.index(BACKGROUND))

            overlaps = instance.overlaps(truth, found)
            radius = detection.RADIUS * PUBLISHED_MICRONS / float(examples.plan["microns_per_pixel"][position])
            pair = detection.nuclei(truth, true_classes), detection.nuclei(found, found_classes)
            detected, classified = detection.count(*pair, codes, radius)
            per_class = instance.count_classes(overlaps, true_classes, found_classes, codes)
            row = all_nuclei("binary", overlaps)
            for position_of_class, name in enumerate(names):
                row |= named(name, instance.COLUMNS, per_class[position_of_class])
            row |= named("detection", detection.DETECTION_COLUMNS, detected)
            pieces = watershed.instances(foreground, "components", settings.minimum_size)
            detected, _ = detection.count(pair[0], detection.nuclei(pieces, {}), [], radius)
            row |= all_nuclei("components", instance.overlaps(truth, pieces))
            row |= named("components_detection", detection.DETECTION_COLUMNS, detected)
            for position_of_class, name in enumerate(names):
                row |= named(f"{name}_detection", detection.CLASS_COLUMNS, classified[position_of_class])
            rows.append(row)
            native.append(found_map)
    return pd.DataFrame(rows), native


def native_class_map(predictions: Any, position: int, shape: tuple[int, ...], classes: int) -> ClassMap:
    """The most probable class of each pixel at native size, (H, W) uint8, from an open file of predictions.

    Probabilities are resized bilinearly, pixel centres aligned; where they were not kept, the class map stands for
    probabilities of 0 and 1. Ties go to the lower class.
    """
    if "probabilities" in predictions:
        values = hdf5.read_row(predictions, "probabilities", position).astype(np.float32)
    else:
        class_map = hdf5.read_row(predictions, "class_map", position)
        values = (class_map == np.arange(classes)[:, None, None]).astype(np.float32)
    if values.shape[1:] != shape:
        size = (shape[1], shape[0])
        values = np.stack([np.asarray(Image.fromarray(v).resize(size, Image.Resampling.BILINEAR)) for v in values])
    return values.argmax(axis=0).astype(np.uint8)


def score(counts: pd.DataFrame, tissues: list[str], classes: list[str]) -> dict[str, Any]:
    """PanNuke's bPQ and mPQ and the detection scores of what `compare` counted, for JSON; None where undefined."""
    names = [name for name in classes if name != BACKGROUND]
    binary = _values(counts, "binary", instance.COLUMNS)
    per_class = np.stack([_values(counts, name, instance.COLUMNS) for name in names], axis=1)
    quality = instance.panoptic_scores(binary, per_class, tissues)
    found = detection.detection_scores(_values(counts, "detection", detection.DETECTION_COLUMNS).sum(axis=0))
    sums = [_values(counts, f"{name}_detection", detection.CLASS_COLUMNS).sum(axis=0) for name in names]
    of_class = detection.classification_scores(np.stack(sums))
    return {
        **{key: number(getattr(quality, key)) for key in ("bpq_images", "bpq_tissues", "mpq_images", "mpq_tissues")},
        "detection": {key: number(value) for key, value in found._asdict().items()},
        "per_class": {
            name: {
                "pq_images": number(quality.class_pq_images[place]),
                "pq_tissues": number(quality.class_pq_tissues[place]),
                **{key: number(values[place]) for key, values in of_class._asdict().items()},
            }
            for place, name in enumerate(names)
        },
    }


def all_nuclei(prefix: str, overlaps: instance.Overlaps) -> dict[str, float]:
    """Counts of an image's nuclei, whatever their class."""
    counts = named(prefix, instance.COLUMNS, instance.count(overlaps))
    return counts | named(prefix, instance.JOIN_COLUMNS, instance.joins(overlaps))


def named(prefix: str, columns: Sequence[str], values: npt.NDArray[np.float64]) -> dict[str, float]:
    """Counts under the names that their columns have in a table."""
    return {f"{prefix}_{column}": float(value) for column, value in zip(columns, values, strict=True)}


def _values(counts: pd.DataFrame, prefix: str, columns: tuple[str, ...]) -> npt.NDArray[np.float64]:
    return counts[[f"{prefix}_{column}" for column in columns]].to_numpy(np.float64)
