"""Class maps without a model: what one must beat.

`background` predicts background everywhere, `commonest` the class with the most training pixels. `otsu` calls nucleus
what is dark in haematoxylin, by Otsu's threshold of each tile, and gives every nucleus the class that the training
tiles hold most of.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base import hdf5
from pipeline.base.study import PixelStudy
from pipeline.metrics.pixel import BACKGROUND
from pipeline.plans.census import count_nuclei
from pipeline.plans.job import Job
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import ClassMap, Image


def predict(job: Job, study: PixelStudy, side: str, path: Path) -> None:
    """Write the predictions of a baseline for one side of the split, in the format of a model's."""
    training = job.rows("train")
    everywhere = study.classes.index(BACKGROUND) if BACKGROUND in study.classes else commonest_class(training, study)
    nuclei = count_nuclei(training, len(study.classes)).sum(axis=0)
    nuclei[everywhere] = -1
    examples = Examples.of(job.rows(side), study)

    def of_tile(position: int) -> ClassMap:
        class_map = np.full(examples.size, everywhere, np.uint8)
        if job.variant == "otsu":
            class_map[dark_in_haematoxylin(examples.image(position))] = nuclei.argmax()
        return class_map

    write_predictions(path, map(of_tile, range(len(examples))), (len(examples), *examples.size), study)


def commonest_class(training: pd.DataFrame, study: PixelStudy) -> int:
    """The class that most pixels of the training rows have."""
    examples = Examples.of(training, study)
    pixels = np.zeros(256, np.int64)
    for position in range(len(examples)):
        pixels += np.bincount(examples.class_map(position).ravel(), minlength=256)
    return int(pixels[: len(study.classes)].argmax())


def dark_in_haematoxylin(image: Image) -> np.ndarray:
    """Mark the pixels of an RGB image (H, W, 3) with more haematoxylin than Otsu's threshold, (H, W) bool.

    Stains are parted as by Ruifrok and Johnston 2001; the threshold is that of Otsu 1979. An image of one colour has
    no threshold and no nucleus.
    """
    from skimage.color import rgb2hed
    from skimage.filters import threshold_otsu

    haematoxylin = rgb2hed(image)[..., 0]
    return np.asarray(haematoxylin > threshold_otsu(haematoxylin))


def write_predictions(path: Path, class_maps: Iterable[ClassMap], shape: tuple[int, ...], study: PixelStudy) -> None:
    """Write class maps, `shape` (N, H, W), and, where `predict.probabilities` asks for them, 0 and 1 as probabilities.

    One map is in memory at a time, and the file, which goes when it is scored, is compressed.
    """
    count, *size = shape
    with hdf5.create(path) as file:
        hdf5.write_attribute(file, "classes", json.dumps(study.classes))
        class_map = file.create_dataset("class_map", shape, "u1", chunks=(1, *size), compression="lzf")
        if study.predict.probabilities:
            codes = np.arange(len(study.classes))[:, None, None]
            one = (len(codes), *size)
            probabilities = file.create_dataset(
                "probabilities", (count, *one), "f2", chunks=(1, *one), compression="lzf"
            )
        for position, codes_of_tile in enumerate(class_maps):
            class_map[position] = codes_of_tile
            if study.predict.probabilities:
                probabilities[position] = codes_of_tile == codes
