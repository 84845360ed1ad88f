"""A small project folder with everything that evaluation and reports read, made up without any training."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from ruamel.yaml import YAML

from pipeline.base.paths import PLANS, evaluation_folder, plan_folder, variant_folder
from pipeline.base.paths import TILES as STORE
from pipeline.base.records import Known, Leaks, NearDuplicates, TileName
from pipeline.base.study import AnyStudy, read_study
from pipeline.plans.known import unknown
from pipeline.stages import evaluate, report
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import COLUMNS, read_plan, write_plan
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests import trained
from tests.command_line import asked

ROOT = Path(__file__).parents[1]
CLASSES = ["background", "neoplastic", "inflammatory", "connective", "dead", "epithelial"]
ENCODERS = ["unet", "resnet50", "efficientnet-b0", "tu-tf_efficientnetv2_m", "mobilenet_v2", "vgg19"]
SPLIT_OF = {"fold1": "train", "fold2": "validation", "fold3": "test"}
TILES, NATIVE, SIZE, EPOCHS = 5, 64, 32, 4  # tiles a shard; px of tiles and of what models see; of each training
STUDY, RUN, SEED = "pannuke", 1, 42
LICENCE = ("CC BY-NC-SA 4.0", "https://example.org/licence", "Someone, 2020")


def make_project(encoder: str = "resnet50", source: str = "sample", **report: Any) -> None:
    """Fill the working directory: parameters, tiles, plans and the predicted variants of every encoder."""
    make_params(encoder, source, **report)
    make_tiles(source)
    for rank, name in enumerate(dict.fromkeys([*ENCODERS, encoder])):
        for plan in PLANS:
            make_variant(name, plan, noise=0.1 + 0.1 * rank)


def make_params(encoder: str = "resnet50", source: str = "sample", **report: Any) -> None:
    """The project's params.yaml and studies/, with STUDY for tiles of this size."""
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    change(Path("params.yaml"), {"encoder": encoder, f"datasets.{STUDY}.source": source})
    ignored = shutil.ignore_patterns("dvc.*", ".gitignore")
    shutil.copytree(ROOT / "studies", "studies", ignore=ignored, dirs_exist_ok=True)
    shown = {"examples": 2, "min_count": 3} | report
    change_study({"tile_size": SIZE} | {f"report.{key}": value for key, value in shown.items()})


def change_study(values: Mapping[str, Any]) -> AnyStudy:
    """Put dotted keys into the study's params.yaml, and give the study."""
    change(Path("studies") / STUDY / "params.yaml", values)
    return read_study(STUDY)


def change(path: Path, values: Mapping[str, Any]) -> None:
    """Put dotted keys into a YAML file."""
    document = YAML(typ="safe").load(path.read_text())
    for key, value in values.items():
        *blocks, last = key.split(".")
        block = document
        for name in blocks:
            block = block[name]
        block[last] = value
    with path.open("w") as file:
        YAML().dump(document, file)


def evaluate_all(*encoders: str) -> None:
    """Run the evaluate stage on the variants of each encoder (all of the study by default)."""
    for encoder in encoders or ENCODERS:
        for plan in PLANS:
            run(evaluate.main, *asked(STUDY, RUN, SEED, encoder, plan))


def write_report(study: str | None = None) -> str:
    """Run the report stage without MLflow, and give its page."""
    name = study or STUDY
    with mock.patch("pipeline.tasks.segmentation.report.track"):
        run(report.main, name)
    return Path("reports", f"{name}.md").read_text(encoding="utf-8")


def run(main: Callable[[], None], *arguments: str) -> None:
    """Call a stage's main as the command line does."""
    with mock.patch.object(sys, "argv", ["stage", *arguments]):
        main()


def make_tiles(source: str) -> None:
    """Three shards, and the plans that put one on each side of the split."""
    random = np.random.default_rng(0)
    info = ShardInfo(STUDY, tuple(CLASSES), 0.25, 40.0, source, "c0ffee", *LICENCE)
    rows = []
    for shard, split in SPLIT_OF.items():
        with ShardWriter(STORE / STUDY / f"{shard}.h5", TILES, NATIVE, info) as writer:
            for index in range(TILES):
                writer.add(_tile(random, index))
                rows.append([STUDY, shard, index, "", "", 0, 0, 0.25, split, 0, "{}"])
    split = pd.DataFrame(rows, columns=list(COLUMNS))
    folder = plan_folder(STUDY, RUN)
    write_plan(split, folder / "split.csv")
    train = split[split["split"] == "train"]
    write_plan(train, folder / "plain.csv")
    write_plan(pd.concat([train, train.assign(copy=1, transform='{"rotate": 90}')]), folder / "augmented.csv")
    write_plan(pd.concat([train, train[:2].assign(copy=1)]), folder / "balanced.csv")
    pair = {side: TileName(dataset=STUDY, shard=shard, index=1) for shard, side in SPLIT_OF.items() if shard != "fold2"}
    near = [NearDuplicates(distance=2, nearest=pair, tiles={"train": 1, "test": 1})]
    no_leak(STUDY, len(rows), near=near).write(folder / "leaks.json")


def no_leak(dataset: str, tiles: int, patient: int = 0, near: Sequence[NearDuplicates] = ()) -> Leaks:
    """What `guard` says of a split of so many tiles of a data set, without a slide, where it finds no leak."""
    owners = {dataset: Known(tiles=tiles, patient=patient, barcode=0, slide=0)}
    return Leaks(
        tiles={},
        known=owners,
        unknown=unknown(owners),
        textureless=0,
        distance=3,
        near_duplicates=list(near),
        near_groups=len(near),
        leaks={},
    )


def tests_of(run: int = RUN) -> Examples:
    """The test tiles of a run, as the study sees them."""
    plan = read_plan(plan_folder(STUDY, run) / "split.csv")
    return Examples.of(plan[plan["split"] == "test"], read_study(STUDY))


def make_variant(variant: str, plan: str, noise: float, run: int = RUN, seed: int = SEED) -> Path:
    """One variant whose predictions are the truth with a share `noise` of the 4 x 4 px blocks replaced."""
    random = np.random.default_rng([len(variant), len(plan), run, seed])
    examples = tests_of(run)
    truth = np.stack([examples.class_map(i) for i in range(len(examples))])
    blocks = random.random((len(truth), SIZE // 4, SIZE // 4)).repeat(4, axis=1).repeat(4, axis=2)
    other = random.integers(0, len(CLASSES), blocks.shape, np.uint8)
    folder = variant_folder(STUDY, run, seed, variant, plan)
    write_predictions(folder, np.where(blocks < noise, other, truth).astype(np.uint8))
    write_training(folder, variant, plan, noise, run, seed)
    return folder


def write_training(folder: Path, variant: str, plan: str, noise: float, run: int, seed: int) -> None:
    """training/ of a variant; its losses fall the slower the more noise there is."""
    falling = np.exp(-np.arange(EPOCHS) / (2 + 5 * noise))
    curves = {"epoch": np.arange(EPOCHS) + 1, "train_loss": falling, "validation_loss": falling + noise}
    curves |= {"train_accuracy": 1 - falling / 2, "validation_accuracy": 1 - falling / 2 - noise / 5}
    curves |= {"validation_mean_iou": (1 - falling) * (1 - noise), "learning_rate": 0.001}
    size = {"parameters": 1_000_000, "trainable_parameters": 1_000_000}
    trained.write_training(
        folder,
        pd.DataFrame(curves),
        variant,
        plan,
        study=STUDY,
        run=run,
        seed=seed,
        weights_sha256=f"{variant}-{plan}-{run}",
        store_sha256={STUDY: "c0ffee"},
        **size,
    )


def write_predictions(folder: Path, class_map: np.ndarray, classes: list[str] | None = None) -> None:
    """test.h5 and speed.json of a variant, which is more certain of some pixels than of others."""
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    names = classes or CLASSES
    certain = np.random.default_rng(0).uniform(0.55, 0.99, class_map.shape)
    others = (1 - certain) / (len(names) - 1)
    probabilities = np.stack([np.where(class_map == code, certain, others) for code in range(len(names))], axis=1)
    with h5py.File(folder / "predictions" / "test.h5", "w") as file:
        file["class_map"] = class_map
        file["probabilities"] = probabilities.astype(np.float16)
        file.attrs["classes"] = json.dumps(names)
    trained.write_speed(folder, TILES, parameters=1_000_000, flops_per_image=2_500_000_000)


def make_evaluations(encoder: str = "resnet50", runs: Sequence[int] = (RUN,)) -> None:
    """The evaluation folders that a report of the study reads; runs differ in their mistakes."""
    change_study({"runs": list(runs)})
    for number in runs[1:]:
        shutil.copytree(plan_folder(STUDY, RUN), plan_folder(STUDY, number))
    for rank, name in enumerate(dict.fromkeys([*ENCODERS, encoder])):
        for plan in ("plain", "augmented"):
            make_evaluation(name, plan, 0.1 + 0.1 * rank - 0.04 * (plan == "augmented"), runs)
    make_evaluation("unet", "balanced", 0.1, runs)
    for name in ("background", "otsu"):
        make_evaluation(name, "plain", 0, runs)


def make_evaluation(
    variant: str, plan: str, noise: float, runs: Sequence[int] = (RUN,), seeds: Sequence[int] = (SEED,)
) -> list[Path]:
    """The evaluation folders of a variant, scored as its study scores it; `noise` is that of `make_variant`."""
    baseline = variant in read_study(STUDY).baselines
    found = []
    for number in runs:
        for seed in seeds[:1] if baseline else seeds:
            if not baseline:
                make_variant(variant, plan, noise, number, seed)
            run(evaluate.main, *asked(STUDY, number, seed, variant, plan))
            found.append(evaluation_folder(STUDY, number, seed, variant, plan))
    return found


def _tile(random: np.random.Generator, index: int) -> Tile:
    """Ellipses of the five classes on a pale ground; the first tile of a shard is empty."""
    picture = Image.new("RGB", (NATIVE, NATIVE), (235, 200, 220))
    classes, instances = (Image.new("I", (NATIVE, NATIVE), 0) for _ in range(2))
    nuclei = {}
    for number in range(1, 1 + 8 * (index > 0)):
        code = int(random.choice([1, 2, 3, 5])) if (number, index) != (1, 1) else 4
        x, y, width, height = (*random.integers(0, NATIVE - 12, 2), *random.integers(8, 18, 2))
        box = tuple(int(value) for value in (x, y, x + width, y + height))
        ImageDraw.Draw(picture).ellipse(box, fill=(90 + 15 * code, 60, 130))
        ImageDraw.Draw(classes).ellipse(box, fill=code)
        ImageDraw.Draw(instances).ellipse(box, fill=number)
        nuclei[number] = code
    instance_map = np.asarray(instances).astype(np.int32)
    kept = {number: code for number, code in nuclei.items() if (instance_map == number).any()}
    return Tile(np.asarray(picture), np.asarray(classes).astype(np.uint8), instance_map, kept, index)
