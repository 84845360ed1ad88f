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

from pipeline.base import tracking
from pipeline.base.paths import AUGMENTATIONS, variant_folder
from pipeline.metrics import detection, instance, pixel
from pipeline.nuclei import watershed
from pipeline.stages import evaluate
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import COLUMNS, plan_folder, read_plan, write_plan
from pipeline.tiles.store import Shard, ShardInfo, ShardWriter, Tile

ROOT = Path(__file__).parents[1]
CLASSES = ["background", "neoplastic", "inflammatory", "connective", "dead", "epithelial"]
ENCODERS = ["unet", "resnet50", "efficientnet-b0", "tu-tf_efficientnetv2_m", "mobilenet_v2", "vgg19"]
SPLIT_OF = {"fold1": "train", "fold2": "validation", "fold3": "test"}
TILES, NATIVE, SIZE, EPOCHS = 5, 64, 32, 4
STUDY, RUN, SEED = "pannuke", 1, 42


def make_project(encoder: str = "resnet50", source: str = "sample", **report: Any) -> None:
    """Fill the working directory: params.yaml, tiles, plans and the variants of every encoder."""
    make_params(encoder, source, **report)
    make_tiles(source)
    for rank, name in enumerate(dict.fromkeys([*ENCODERS, encoder])):
        for augmentation in AUGMENTATIONS:
            make_variant(name, augmentation, noise=0.1 + 0.1 * rank)


def make_params(encoder: str = "resnet50", source: str = "sample", **report: Any) -> None:
    """The project's params.yaml for tiles of this size."""
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    params["encoder"] = encoder
    params["datasets"][STUDY]["source"] = source
    params[STUDY]["tile_size"] = SIZE
    params[STUDY]["report"] |= {"examples": 2, "min_count": 3} | report
    with Path("params.yaml").open("w") as file:
        YAML().dump(params, file)


def evaluate_all(*encoders: str) -> None:
    """Run the evaluate stage on both variants of each encoder (all of the study by default), without MLflow."""
    with mock.patch.object(tracking, "variant_run", mock.MagicMock()):
        for encoder in encoders or ENCODERS:
            for augmentation in AUGMENTATIONS:
                run(evaluate.main, STUDY, encoder, augmentation)


def run(main: Callable[[], None], *arguments: str) -> None:
    """Call a stage's main as the command line does."""
    with mock.patch.object(sys, "argv", ["stage", *arguments]):
        main()


def make_tiles(source: str) -> None:
    """Three shards, the plans that put one on each side of the split, and SOURCE.json."""
    random = np.random.default_rng(0)
    info = ShardInfo(STUDY, tuple(CLASSES), 0.25, 40.0, source, "c0ffee", "none: drawn tiles", "", "")
    rows = []
    for shard, split in SPLIT_OF.items():
        with ShardWriter(Path(f"data/tiles/{STUDY}/{shard}.h5"), TILES, NATIVE, info) as writer:
            for index in range(TILES):
                writer.add(_tile(random, index))
                rows.append([STUDY, shard, index, "", "", 0, 0, 0.25, split, 0, "{}", 1.0])
    split = pd.DataFrame(rows, columns=list(COLUMNS))
    folder = plan_folder(STUDY, RUN, SEED)
    write_plan(split, folder / "split.csv")
    train = split[split["split"] == "train"]
    write_plan(train, folder / "plain.csv")
    write_plan(pd.concat([train, train.assign(copy=1, transform='{"rotate": 90}')]), folder / "augmented.csv")
    write_plan(pd.concat([train, train[:2].assign(copy=1)]), folder / "balanced.csv")
    tile = {"dataset": STUDY, "shard": "fold1", "index": 1}
    near = [{"distance": 2, "train": tile, "test": tile | {"shard": "fold3"}}]
    _json(folder / "leaks.json", {"tiles": {}, "distance": 3, "near_duplicates": near})
    described = {"dataset": STUDY, "source": source, "folder": f"data/raw/{STUDY}", "licence": "CC BY-NC-SA 4.0"}
    described |= {"licence_url": "https://example.org/licence", "citation": "Someone, 2020", "sha256": "c0ffee"}
    _json(Path(f"data/raw/{STUDY}/SOURCE.json"), described | {"files": []})


def make_variant(encoder: str, augmentation: str, noise: float) -> Path:
    """One variant whose predictions are the truth with a share `noise` of the 4 x 4 px blocks replaced."""
    folder = variant_folder(STUDY, RUN, SEED, encoder, augmentation)
    random = np.random.default_rng([len(encoder), len(augmentation)])
    plan = read_plan(plan_folder(STUDY, RUN, SEED) / "split.csv")
    examples = Examples(plan[plan["split"] == "test"], SIZE)
    truth = np.stack([examples.class_map(i) for i in range(len(examples))])
    blocks = random.random((len(truth), SIZE // 4, SIZE // 4)).repeat(4, axis=1).repeat(4, axis=2)
    other = random.integers(0, len(CLASSES), blocks.shape, np.uint8)
    write_predictions(folder, np.where(blocks < noise, other, truth).astype(np.uint8))
    falling = np.exp(-np.arange(EPOCHS) / (2 + 5 * noise))
    curves = {"epoch": np.arange(EPOCHS) + 1, "train_loss": falling, "validation_loss": falling + noise}
    curves |= {"train_accuracy": 1 - falling / 2, "validation_accuracy": 1 - falling / 2 - noise / 5}
    curves |= {"validation_mean_iou": (1 - falling) * (1 - noise), "learning_rate": 0.001}
    (folder / "training").mkdir(parents=True)
    pd.DataFrame(curves).to_csv(folder / "training" / "curves.csv", index=False)
    training = {"study": STUDY, "run": RUN, "seed": SEED, "variant": f"{encoder}-random-{augmentation}"}
    training |= {"encoder": encoder, "augmentation": augmentation}
    training |= {"weights": "random", "examples": {"train": TILES, "validation": TILES}, "epochs_run": EPOCHS}
    training |= {"best_epoch": EPOCHS - 1, "stopped_early": False, "weights_sha256": f"{encoder}-{augmentation}"}
    training |= {"parameters": 1_000_000, "trainable_parameters": 1_000_000, "store_sha256": {STUDY: "c0ffee"}}
    training |= {"machine": {"seconds": 12.3, "device": "a made-up device", "torch": "0", "platform": "nowhere"}}
    _json(folder / "training" / "training.json", training)
    return folder


def make_evaluations(encoder: str = "resnet50", runs: Sequence[int] = (RUN,)) -> None:
    """The evaluation folders that a report reads, without any training, prediction or evaluation stage."""
    for run_number in runs[1:]:  # every run tests on the same tiles here, with other mistakes
        shutil.copytree(plan_folder(STUDY, RUN, SEED), plan_folder(STUDY, run_number, SEED))
    for rank, name in enumerate(dict.fromkeys([*ENCODERS, encoder])):
        for augmentation in ("plain", "augmented"):
            make_evaluation(name, augmentation, 0.1 + 0.1 * rank - 0.04 * (augmentation == "augmented"), runs)
    make_evaluation("unet", "balanced", 0.1, runs)
    for rank, name in enumerate(("background", "otsu")):
        make_evaluation(name, "plain", 1 - rank / 10, runs)


def make_evaluation(encoder: str, augmentation: str, noise: float, runs: Sequence[int] = (RUN,)) -> Path:
    """One evaluation folder; a share `noise` of the blocks of its class maps is wrong, all background at 1."""
    plan = read_plan(plan_folder(STUDY, RUN, SEED) / "split.csv")
    examples = Examples(plan[plan["split"] == "test"], SIZE)
    maps = {}
    for number in runs:
        random = np.random.default_rng([len(encoder), len(augmentation), number])
        truth = np.stack([examples.class_map(i) for i in range(len(examples))])
        wrong = random.random((len(truth), SIZE // 4, SIZE // 4)).repeat(4, axis=1).repeat(4, axis=2) < noise
        other = 0 if noise == 1 else random.integers(0, len(CLASSES), wrong.shape)
        maps[number, SEED] = np.where(wrong, other, truth).astype(np.uint8)
    return write_evaluation(encoder, augmentation, examples, maps)


def write_evaluation(
    encoder: str, augmentation: str, examples: Examples, maps: Mapping[tuple[int, int], np.ndarray]
) -> Path:
    """What the evaluate stage writes of class maps (N, H, W), one array a run and seed."""
    folder = Path("models") / STUDY / "evaluation" / f"{encoder}-{augmentation}"
    folder.mkdir(parents=True, exist_ok=True)
    trained = encoder not in ("background", "otsu")
    counts, instances, curves, described, machine = [], [], [], [], []
    with h5py.File(folder / "class_maps.h5", "w") as file:
        for (number, seed), class_map in maps.items():
            file.create_dataset(f"run{number}-seed{seed}", data=class_map, compression="gzip")
            for i, row in enumerate(examples.plan.rename(columns={"index": "index_"}).itertuples()):
                named = {"run": number, "seed": seed, "dataset": row.dataset, "shard": row.shard, "index": row.index_}
                named |= {"patient": row.patient, "slide": row.slide, "group": ""}
                pixels = pixel.confusion(examples.class_map(i), class_map[i], len(CLASSES))
                counts.append(named | dict(zip(pixel.columns(len(CLASSES)), pixels.ravel(), strict=True)))
                instances.append(named | _count_instances(examples, i, class_map[i]))
            falling = np.exp(-np.arange(EPOCHS) / 3)
            table = {"run": number, "seed": seed, "epoch": np.arange(EPOCHS) + 1, "train_loss": falling}
            table |= {"validation_loss": falling + 0.1, "validation_mean_iou": 1 - falling, "learning_rate": 0.001}
            curves.append(pd.DataFrame(table))
            run = {"run": number, "seed": seed, "epochs_run": EPOCHS, "best_epoch": EPOCHS - 1}
            run |= {"weights_sha256": f"{encoder}-{augmentation}-{number}"}
            if not trained:
                run = dict.fromkeys(run) | {"run": number, "seed": seed}
            described.append(run | {"scores": {"instances": {}}})
            speed = {"device": "a made-up device", "images_per_second": {"1": 10.0, "16": 25.0}, "best_batch": "16"}
            training = {"seconds": 12.3, "device": "a made-up device"}
            parts = {"training": training, "speed": speed} if trained else {"training": None, "speed": None}
            machine.append({"run": number, "seed": seed} | parts)
    cost = {"weights": "random", "parameters": 1_000_000, "trainable_parameters": 1_000_000, "flops_per_image": 2.5e9}
    record = {"encoder": encoder, "augmentation": augmentation} | (cost if trained else dict.fromkeys(cost))
    _json(folder / "metrics.json", record | {"runs": described})
    _json(folder / "machine.json", machine)
    pd.DataFrame(counts).to_csv(folder / "counts.csv", index=False)
    pd.DataFrame(instances).to_csv(folder / "instances.csv", index=False)
    if trained:
        pd.concat(curves).to_csv(folder / "curves.csv", index=False)
    return folder


def _count_instances(examples: Examples, i: int, class_map: np.ndarray) -> dict[str, float]:
    """The counts of one image's nuclei, at the tile's native size."""
    truth = examples.instance_map(i)
    scale = truth.shape[0] // class_map.shape[0]
    native = class_map.repeat(scale, axis=0).repeat(scale, axis=1)
    found = watershed.instances(native > 0, "components")
    found_classes = watershed.classes_of(found, native)
    row = examples.plan.iloc[i]
    nuclei = Shard(Path("data/tiles") / row["dataset"] / f"{row['shard']}.h5").nuclei()
    nuclei = nuclei[nuclei["tile"] == row["index"]]
    true_classes = dict(zip(nuclei["id"], nuclei["class"], strict=True))
    overlaps, codes = instance.overlaps(truth, found), range(1, len(CLASSES))
    pairs = detection.nuclei(truth, true_classes), detection.nuclei(found, found_classes)
    all_found, of_classes = detection.count(*pairs, codes)
    by_class = instance.count_classes(overlaps, true_classes, found_classes, codes)
    result: dict[str, float] = {}
    for nuclei_are, found_are in (("binary", "detection"), ("components", "components_detection")):
        result |= zip([f"{nuclei_are}_{name}" for name in instance.COLUMNS], instance.count(overlaps), strict=True)
        result |= zip([f"{nuclei_are}_{name}" for name in instance.JOIN_COLUMNS], instance.joins(overlaps), strict=True)
        result |= zip([f"{found_are}_{name}" for name in detection.DETECTION_COLUMNS], all_found, strict=True)
    for name, counts, detected in zip(CLASSES[1:], by_class, of_classes, strict=True):
        result |= zip([f"{name}_{column}" for column in instance.COLUMNS], counts, strict=True)
        result |= zip([f"{name}_detection_{column}" for column in detection.CLASS_COLUMNS], detected, strict=True)
    return result


def write_predictions(folder: Path, class_map: np.ndarray, classes: list[str] | None = None) -> None:
    """predictions.h5 and speed.json of a variant."""
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "predictions" / "predictions.h5", "w") as file:
        file["class_map"] = class_map
        file.attrs["classes"] = json.dumps(classes or CLASSES)
    speed = {"device": "a made-up device", "flops_per_image": 2.5e9, "parameters": 1_000_000}
    speed |= {"images_per_second": {"1": 10.0, "16": 25.0}, "best_batch": "16", "images": TILES, "seconds": 1.5}
    _json(folder / "predictions" / "speed.json", speed)


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


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
