"""Score a study's classifier of tiles: `python -m pipeline.stages.evaluate_classifier <study>`.

In:  predictions/predictions.csv and training/ of models/<study>/classifier, the tile store.
Out: models/<study>/evaluation/classifier/: tiles.csv, truth and probability of every tile; metrics.json, the scores of
     the train and test tiles; curves.csv and machine.json of its training.
"""

import argparse
import shutil
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import run_stage
from pipeline.base.files import read_json, replacing, write_json
from pipeline.base.params import read_params
from pipeline.base.paths import classifier_folder, evaluation_folder
from pipeline.metrics import curve, pixel
from pipeline.plans.census import has_lesion

SIDES = ("train", "test")


def main() -> None:
    parser = argparse.ArgumentParser(description="Score a study's classifier of tiles.")
    parser.add_argument("study")
    name = parser.parse_args().study
    study = read_params().study(name)
    assert study.target is not None  # params.yaml was checked
    folder = classifier_folder(name)
    found = pd.read_csv(folder / "predictions" / "predictions.csv", keep_default_na=False)
    tiles = found.assign(truth=has_lesion(found, study.target).astype(int))
    training = read_json(folder / "training" / "training.json")
    kept = {key: training[key] for key in ("weights", "parameters", "examples", "epochs_run", "best_epoch")}
    with replacing(evaluation_folder(name, "tiles", "classifier")) as temporary:
        temporary.mkdir()
        tiles.to_csv(temporary / "tiles.csv", index=False, lineterminator="\n")
        scores = {side: score(tiles[tiles["split"] == side], study.classes) for side in SIDES}
        write_json(temporary / "metrics.json", kept | {"scores": scores})
        write_json(temporary / "machine.json", training["machine"])
        shutil.copy(folder / "training" / "curves.csv", temporary / "curves.csv")


def score(tiles: pd.DataFrame, classes: list[str]) -> dict[str, Any]:
    """Scores of tiles with `truth` and `probability`: of each class, their mean ("macro"), average precision."""
    truth, probability = tiles["truth"].to_numpy(), tiles["probability"].to_numpy()
    counts = pixel.confusion(truth, (probability > 0.5).astype(np.int64), len(classes))
    of_class = {name: getattr(pixel, name)(counts) for name in ("precision", "recall", "f1")}
    return {
        "tiles": len(tiles),
        "counts": counts.tolist(),
        "accuracy": pixel.number(pixel.pixel_accuracy(counts)),
        "average_precision": pixel.number(curve.average_precision(curve.histogram(truth, probability))),
        "macro": {name: pixel.number(pixel.mean(values)) for name, values in of_class.items()},
        "per_class": {
            label: {name: pixel.number(values[code]) for name, values in of_class.items()}
            for code, label in enumerate(classes)
        },
    }


if __name__ == "__main__":
    run_stage(main)
