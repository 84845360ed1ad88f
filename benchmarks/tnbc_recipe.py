"""Train recipes for real TNBC through the pipeline's own stages, and compare them on the 25 test images.

    python -m benchmarks.tnbc_recipe WORK --data DATA --weights FILE [--recipes plain ours ...] [--hold-out 9 10]

DATA holds tnbc/ and monuseg/ as published, FILE is the ImageNet checkpoint of tf_efficientnet_lite0 (safetensors). Each
recipe is trained in WORK/<recipe> with a params.yaml of its own, unless it has predictions there already. The result is
WORK/scores.csv (a row a recipe and test image) and a table with paired bootstrap intervals on the terminal.

With --hold-out the named training patients are the test part and the seven test patients are left out altogether: so
recipes are tuned. docs/results/tnbc.md holds the figures.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from pipeline.base.records import Training
from pipeline.metrics import stats
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import read_plan, write_plan
from pipeline.tiles.store import IGNORE

ROOT = Path(__file__).parents[1]
ENCODER = "timm-tf_efficientnet_lite0"
ONLINE = {"crop": 192, "crops": 8, "scale": 0.0, "flips": True, "turns": True, "stain": 0.0, "colour": 0.2}
BCE_DICE = {"cross_entropy": 1, "dice": 1, "focal": 0, "smooth": 1, "dice_background": False}
PLAIN: dict[str, Any] = {  # the yardstick: what one would write down first
    "tile_size": 512,
    "augment.factor": 1,
    "augment.original": True,
    "augment.online": ONLINE,
    "model.decoder_channels": [256, 128, 64, 32, 16],
    "train.epochs": 26,
    "train.batch": 8,
    "train.optimiser": "adamw",
    "train.learning_rate": 0.001,
    "train.weight_decay": 0.01,
    "train.schedule": "cosine",
    "train.loss": BCE_DICE,
    "predict.speed_batches": [1],
}
OURS: dict[str, Any] = {
    **PLAIN,
    "augment.online": {**ONLINE, "scale": 0.25, "stain": 0.3, "colour": 0.1},
    "model.decoder_channels": [128, 64, 32, 16],
    "train.epochs": 50,
}
SHORT = {**PLAIN, "train.epochs": 6}  # 228 steps: what an ingredient is worth, where time is short
RECIPES: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "ours": OURS,
    "short": SHORT,
    "short-random": {**SHORT, "model.weights": "random"},
    "short-tnbc-alone": {**SHORT, "datasets": ["tnbc"], "train.epochs": 9},  # 225 steps
    "short-crops-alone": {
        **SHORT,
        "augment.online": {**ONLINE, "flips": False, "turns": False, "colour": 0.0},
    },
}
RUN = ("tnbc", "--run", "1")  # the official split
SEED = "42"  # the study's first training
FLIPS = {"": False, "+flips": True}  # each recipe predicts without and with test-time flips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=["plain", "ours"])
    parser.add_argument("--hold-out", nargs="*", type=int, default=[], metavar="PATIENT")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    sources = {f"datasets.{name}.source": str((arguments.data / name).resolve()) for name in ("tnbc", "monuseg")}
    prepare(work, sources)
    for recipe in arguments.recipes:
        changes = {"model.weights": str(arguments.weights.resolve()), **sources, **RECIPES[recipe]}
        train(work, recipe, changes, [f"{patient:02}" for patient in arguments.hold_out])
    scores = pd.concat([score(work, recipe, suffix) for recipe in arguments.recipes for suffix in FLIPS])
    scores.to_csv(work / "scores.csv", index=False, lineterminator="\n", float_format="%.6f")
    show(work, scores)


def prepare(work: Path, sources: dict[str, str]) -> None:
    """Put both data sets into the tile store, once."""
    if (work / "data/tiles/monuseg").is_dir():
        return
    write_params(work, sources)
    stage(work, "check")
    for name in ("tnbc", "monuseg"):
        stage(work, "download", name)
        stage(work, "convert", name)


def train(work: Path, recipe: str, changes: dict[str, Any], hold_out: list[str]) -> None:
    """Run the stages of a recipe, from split to predict, in a folder of its own."""
    folder = work / recipe
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name in ("raw", "tiles"):
        link = folder / "data" / name
        if not link.exists():
            link.symlink_to(work / "data" / name, target_is_directory=True)
    write_params(folder, changes)
    if not (folder / "predictions+flips").is_dir():
        stage(folder, "split", *RUN)
        if hold_out:
            path = folder / "data/plans/tnbc/run1/split.csv"
            plan = read_plan(path)
            held = (plan["dataset"] == "tnbc") & plan["patient"].isin(hold_out)
            plan = plan[plan["split"] == "train"].assign(
                split=np.where(held, "test", "train")[plan["split"] == "train"]
            )
            write_plan(plan, path)
        for name in ("guard", "balance", "augment"):
            stage(folder, name, *RUN)
        stage(folder, "train", *RUN, "--seed", SEED, "--variant", ENCODER, "--plan", "augmented")
        for suffix, flips in FLIPS.items():
            write_params(folder, {**changes, "predict.flips": flips})
            stage(folder, "predict", *RUN, "--seed", SEED, "--variant", ENCODER, "--plan", "augmented")
            (variant(folder) / "predictions").rename(folder / f"predictions{suffix}")


def write_params(folder: Path, changes: dict[str, Any]) -> None:
    """Write the parameters of project and study into a folder; dotted keys under `datasets.` are the project's."""
    for name in ("params.yaml", "studies/tnbc/params.yaml"):
        params = YAML(typ="safe").load((ROOT / name).read_text(encoding="utf-8"))
        for key, value in changes.items():
            *blocks, last = key.split(".")
            if key.startswith("datasets.") == (name == "params.yaml"):
                block = params
                for part in blocks:
                    block = block[part]
                block[last] = value
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(params, file)


def stage(folder: Path, name: str, *words: str) -> None:
    """Run a stage as dvc.yaml does, in a folder."""
    print(f"{time.strftime('%H:%M:%S')} {folder.name}: {name} {' '.join(words)}", flush=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", f"pipeline.stages.{name}", *words], cwd=folder, env=environment, check=True)


def variant(folder: Path) -> Path:
    return folder / f"models/tnbc/run1/seed42/{ENCODER}-augmented"


def score(work: Path, recipe: str, suffix: str) -> pd.DataFrame:
    """Pixels and scores of each test image, at its native 512 x 512 px."""
    folder = work / recipe
    plan = read_plan(folder / "data/plans/tnbc/run1/split.csv")
    examples = Examples(plan[plan["split"] == "test"], 512, work / "data/tiles")
    rows = []
    with h5py.File(folder / f"predictions{suffix}" / "test.h5") as file:
        for position, row in enumerate(examples.plan.itertuples()):
            truth, predicted = examples.class_map(position), file["class_map"][position]
            known = truth != IGNORE
            tp, fp, fn = (int(pixels[known].sum()) for pixels in _outcomes(truth == 1, predicted == 1))
            jaccard, f1 = tp / (tp + fp + fn), 2 * tp / (2 * tp + fp + fn)
            rows.append((f"{recipe}{suffix}", row.patient, row.index, tp, fp, fn, jaccard, f1))
    return pd.DataFrame(rows, columns=["recipe", "patient", "image", "tp", "fp", "fn", "jaccard", "f1"])


def _outcomes(truth: Any, predicted: Any) -> tuple[Any, Any, Any]:
    return truth & predicted, ~truth & predicted, truth & ~predicted


def show(work: Path, scores: pd.DataFrame) -> None:
    """Print means with their intervals, and differences from the first recipe, over images and over patients."""
    first = scores["recipe"].iloc[0]
    patients = scores.loc[scores["recipe"] == first, "patient"].tolist()
    print("| recipe | minutes | metric | mean | difference from the first | over images | over patients |")
    print("|---|---|---|---|---|---|---|")
    for recipe, rows in scores.groupby("recipe", sort=False):
        machine = Training.read(variant(work / str(recipe).removesuffix("+flips")) / "training/training.json").machine
        for metric in ("jaccard", "f1"):
            values = rows[metric].to_numpy()
            ours = stats.bootstrap(stats.score_counts(values), stats.mean_score)
            line = f"| {recipe} | {machine.seconds / 60:.1f} | {metric} | {_interval(ours)} |"
            if recipe != first:
                base = scores.loc[scores["recipe"] == first, metric].to_numpy()
                pair = [stats.score_counts(values), stats.score_counts(base)]
                over_images, over_patients = (
                    stats.compare(pair, stats.mean_score, groups)[0].difference for groups in (None, patients)
                )
                line += f" {over_images.value:+.4f} | {_ends(over_images)} | {_ends(over_patients)} |"
            else:
                line += " | | |"
            print(line)


def _interval(figure: stats.Interval) -> str:
    return f"{figure.value:.4f} ({figure.low:.4f} to {figure.high:.4f})"


def _ends(figure: stats.Interval) -> str:
    return f"{figure.low:+.4f} to {figure.high:+.4f}, n = {figure.units}"


if __name__ == "__main__":
    main()
