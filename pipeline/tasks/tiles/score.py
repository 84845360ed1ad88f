"""How a classifier of tiles is scored."""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.files import read_sealed
from pipeline.base.parquet import write_rows
from pipeline.base.records import Scores
from pipeline.metrics import curve, pixel
from pipeline.plans.census import has_lesion
from pipeline.plans.job import Job
from pipeline.tasks.evaluation import write_records
from pipeline.tiles.plan import TEXTS

SIDES = ("train", "test")


def score(job: Job, folder: Path) -> None:
    """Write tiles.parquet, truth and probability of every tile; metrics.json, the scores of the train and test tiles;
    curves.csv and machine.json of the training."""
    study = job.settings
    assert study.target is not None  # the study was checked
    predictions = StringIO(read_sealed(job.folder / "predictions" / "predictions.csv"))
    found = pd.read_csv(predictions, dtype=TEXTS, keep_default_na=False)
    tiles = found.assign(truth=has_lesion(found, study.target).astype(int))
    write_rows(folder / "tiles.parquet", tiles)
    scores = {side: tile_scores(tiles[tiles["split"] == side], study.classes) for side in SIDES}
    write_records(job, folder, scores, timed=False)


def tile_scores(tiles: pd.DataFrame, classes: list[str]) -> Scores:
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
