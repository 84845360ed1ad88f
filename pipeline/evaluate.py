"""Score one variant's predictions: `python -m pipeline.evaluate <study> <encoder> <augmentation>`.

In:  the variant's predictions/predictions.h5 and training/training.json, the study's split.csv, the tile store.
Out: the variant's evaluation/counts.csv (pixels of each truth and predicted class, a row a test image) and
     evaluation/metrics.json (every score, from those counts); both are logged to MLflow with a picture.

NumPy alone: this imports no torch, so a change to a metric costs seconds and needs no GPU.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline import tracking
from pipeline.errors import Problem, run_stage
from pipeline.examples import Examples
from pipeline.files import read_json, replacing, write_json
from pipeline.metrics import pixel
from pipeline.params import read_params
from pipeline.plan import plan_folder, read_plan
from pipeline.reporting import pictures
from pipeline.tiles import Shard
from pipeline.variants import AUGMENTATIONS, variant_folder

ROW = ["dataset", "shard", "index", "patient", "slide"]  # what names a test image in counts.csv


def main() -> None:
    parser = argparse.ArgumentParser(description="Score one variant's predictions.")
    parser.add_argument("study")
    parser.add_argument("encoder")
    parser.add_argument("augmentation", choices=AUGMENTATIONS)
    arguments = parser.parse_args()
    params = read_params()
    study = params.study(arguments.study)
    folder = variant_folder(arguments.study, study.run, params.seed, arguments.encoder, arguments.augmentation)

    plan = read_plan(plan_folder(arguments.study, study.run, params.seed) / "split.csv")
    examples = Examples(plan[plan["split"] == "test"], study.tile_size)
    predicted = read_predictions(folder / "predictions" / "predictions.h5", study.classes, examples)
    counts = count(examples, predicted, study.classes)
    scores = pixel.score(counts, study.classes)
    for name, nuclei in count_nuclei(examples.plan, study.classes).items():
        scores["per_class"][name]["nuclei"] = nuclei
    write_evaluation(folder / "evaluation", examples.plan, counts, scores)
    track(folder, scores, example_rows(examples, predicted, counts), study.classes)


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
    expected = (len(examples), examples.tile_size, examples.tile_size)
    if maps.shape != expected:
        raise Problem(
            f"{path} holds class maps of shape {maps.shape} but split.csv and params.yaml ask for {expected}; "
            "run `dvc repro` so that the variant predicts again."
        )
    if not len(examples):
        raise Problem("split.csv holds no test tile; give the test split a share above 0 in params.yaml.")
    return maps


def count(examples: Examples, predicted: npt.NDArray[np.uint8], classes: Sequence[str]) -> pixel.Counts:
    """Confusion counts of each example, (N, C, C)."""
    return np.stack([pixel.confusion(examples.class_map(i), predicted[i], len(classes)) for i in range(len(examples))])


def count_nuclei(plan: pd.DataFrame, classes: Sequence[str], root: Path = Path("data/tiles")) -> dict[str, int | None]:
    """Annotated nuclei of each class in the plan's tiles, at native resolution; None for the background."""
    codes: list[npt.NDArray[np.integer]] = []
    for (dataset, shard), rows in plan.groupby(["dataset", "shard"]):
        nuclei = Shard(root / str(dataset) / f"{shard}.h5").nuclei()
        codes.append(nuclei.loc[nuclei["tile"].isin(rows["index"]), "class"].to_numpy())
    totals = np.bincount(np.concatenate(codes), minlength=len(classes))
    return {name: None if name == pixel.BACKGROUND else int(totals[code]) for code, name in enumerate(classes)}


def write_evaluation(folder: Path, plan: pd.DataFrame, counts: pixel.Counts, scores: dict[str, Any]) -> None:
    """Write counts.csv and metrics.json, both or neither."""
    size = counts.shape[-1]
    table = pd.concat([plan[ROW], pd.DataFrame(counts.reshape(-1, size**2), columns=pixel.columns(size))], axis=1)
    with replacing(folder) as temporary:
        temporary.mkdir()
        table.to_csv(temporary / "counts.csv", index=False, lineterminator="\n")
        write_json(temporary / "metrics.json", scores)


def example_rows(examples: Examples, predicted: npt.NDArray[np.uint8], counts: pixel.Counts) -> list[pictures.Row]:
    """The tile that scores best, one in the middle, and the one that scores worst."""
    scores = pixel.mean(pixel.iou(counts))
    order = np.argsort(-scores, kind="stable")
    return [
        pictures.Row(f"mean IoU {scores[i]:.3f}", examples.image(i), examples.class_map(i), predicted[i])
        for i in dict.fromkeys(int(order[k]) for k in (0, len(order) // 2, -1))
    ]


def track(folder: Path, scores: dict[str, Any], rows: Sequence[pictures.Row], classes: Sequence[str]) -> None:
    """Add the scores, the speed that `predict` measured and a picture to the variant's MLflow run."""
    training = read_json(folder / "training" / "training.json")
    speed = read_json(folder / "predictions" / "speed.json")
    variant = f"{training['encoder']}-{Path(training['weights']).stem}-{training['augmentation']}"
    key = folder.relative_to("models").as_posix()
    with (
        tempfile.TemporaryDirectory() as temporary,
        tracking.variant_run(training["study"], variant, key, weights_sha256=training["weights_sha256"]) as run,
    ):
        picture = Path(temporary) / "examples.png"
        pictures.save(pictures.strip(rows, classes), picture)
        run.metrics(scores)
        run.metrics({name: speed[name] for name in ("images_per_second", "flops_per_image", "parameters")})
        run.artifact(picture, "pictures")


if __name__ == "__main__":
    run_stage(main)
