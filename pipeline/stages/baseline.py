"""Predict a study's test tiles without a model: `python -m pipeline.stages.baseline <study> <run> <baseline>`.

In:  split.csv, the tile store. Out: predictions/predictions.h5 of the variant <baseline>-plain, in the same format as
     those of a model (see pipeline.stages.predict), so that the rows which a model must beat are scored as it is.

`background` predicts background everywhere, `commonest` the class with the most training pixels. `otsu` calls nucleus
what is dark in haematoxylin, by Otsu's threshold of each tile, and gives every nucleus the class that the training
tiles hold most of.
"""

import argparse
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from pipeline.base.errors import run_stage
from pipeline.base.files import replacing
from pipeline.base.params import Study, read_params
from pipeline.base.paths import BASELINES, variant_folder
from pipeline.metrics.pixel import BACKGROUND
from pipeline.plans.census import count_nuclei
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import plan_folder, read_plan
from pipeline.tiles.store import ClassMap, Image

SPLITS = {"test": "predictions.h5", "train": "train.h5"}  # which rows are predicted into which file


def main() -> None:
    parser = argparse.ArgumentParser(description="Predict a study's test tiles without a model.")
    parser.add_argument("study")
    parser.add_argument("run", type=int)
    parser.add_argument("baseline", choices=BASELINES)
    parser.add_argument("--seed", type=int, help="of the trainings it stands beside; it draws nothing itself")
    arguments = parser.parse_args()
    params = read_params()
    study = params.study(arguments.study)
    plan = read_plan(plan_folder(arguments.study, arguments.run, params.seed) / "split.csv")
    training = plan[plan["split"] == "train"]
    everywhere = study.classes.index(BACKGROUND) if BACKGROUND in study.classes else commonest_class(training, study)
    nuclei = count_nuclei(training, len(study.classes)).sum(axis=0)
    nuclei[everywhere] = -1
    seed = params.seed if arguments.seed is None else arguments.seed
    folder = variant_folder(arguments.study, arguments.run, seed, arguments.baseline, "plain")
    with replacing(folder / "predictions") as temporary:
        temporary.mkdir()
        for split, file in SPLITS.items():
            if split not in {"test", *study.predict.splits}:
                continue
            examples = Examples.of(plan[plan["split"] == split], study)
            class_map = np.full((len(examples), *examples.size), everywhere, np.uint8)
            if arguments.baseline == "otsu":
                for position in range(len(examples)):
                    class_map[position][dark_in_haematoxylin(examples.image(position))] = nuclei.argmax()
            write_predictions(temporary / file, class_map, study)


def commonest_class(training: pd.DataFrame, study: Study) -> int:
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


def write_predictions(path: Path, class_map: ClassMap, study: Study) -> None:
    """Write class maps (N, H, W) and, where `predict.probabilities` asks for them, 0 and 1 as probabilities."""
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = json.dumps(study.classes)
        file["class_map"] = class_map
        if study.predict.probabilities:
            codes = np.arange(len(study.classes))[:, None, None]
            shape = (len(class_map), len(codes), *class_map.shape[1:])
            probabilities = file.create_dataset("probabilities", shape, "f2")
            for position, codes_of_tile in enumerate(class_map):
                probabilities[position] = codes_of_tile == codes


if __name__ == "__main__":
    run_stage(main)
