"""A small study of detection: images whose class a colour tells, in a project folder of their own."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from pipeline.base.paths import plan_folder
from pipeline.base.study import read_study, variant
from pipeline.plans.job import Job
from pipeline.tiles.plan import COLUMNS, write_plan
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.fabricated import no_leak
from tests.trained import write_speed, write_training

ROOT = Path(__file__).parents[3]
CLASSES = ("background", "normal", "benign", "in_situ", "invasive")
GROUPS = ("Normal", "Benign", "InSitu", "Invasive")  # as the store calls them
COLOURS = ((60, 30, 90), (30, 90, 60), (120, 20, 20), (20, 60, 140))
SIDES = ("train", "train", "test")  # of the images of a class
SIZE = 64  # px
MODEL = {"weights": "random", "width": 64, "channels": 32, "proposals": 40, "sampled": 32}


def draw(rng: np.random.Generator, kind: int, index: int) -> Tile:
    """Four squares of the class's colour on white."""
    image = np.full((SIZE, SIZE, 3), 230.0)
    instance_map = np.zeros((SIZE, SIZE), np.int32)
    for number, (y, x) in enumerate(((6, 6), (6, 36), (36, 6), (36, 36)), start=1):
        y, x = y + int(rng.integers(8)), x + int(rng.integers(8))
        image[y : y + 14, x : x + 14] = COLOURS[kind]
        instance_map[y : y + 14, x : x + 14] = number
    pixels = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    class_map = np.where(instance_map, kind + 1, 0).astype(np.uint8)
    return Tile(pixels, class_map, instance_map, dict.fromkeys(range(1, 5), kind + 1), index, group=GROUPS[kind])


def make_project() -> None:
    """Fill the working directory: the study with its paper, the tile store, plans."""
    study = YAML(typ="safe").load((ROOT / "studies/bach/params.yaml").read_text(encoding="utf-8"))
    study |= {"compare": ["resnet18"], "variants": {}, "tile_size": SIZE, "seeds": [1, 2]}
    study["model"] |= MODEL
    study["train"] |= {"epochs": 1, "batch": 2}
    Path("studies/bach").mkdir(parents=True)
    shutil.copytree(ROOT / "studies/bach/paper", "studies/bach/paper")
    with Path("studies/bach/params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(study, file)
    rng = np.random.default_rng(0)
    info = ShardInfo("bach", CLASSES, 0.42, 20.0, "sample", "b" * 64, "none: drawn tiles", "", "")
    rows = []
    for kind, name in enumerate(("normal", "benign", "insitu", "invasive")):
        with ShardWriter(Path(f"data/tiles/bach/{name}.h5"), len(SIDES), SIZE, info) as shard:
            for index, side in enumerate(SIDES):
                shard.add(draw(rng, kind, index))
                patient = "" if kind == 3 else f"{kind}{index}"
                rows.append(("bach", name, index, patient, f"{name}{index}", 0, 0, 0.42, side, 0, "{}"))
    plan = pd.DataFrame(rows, columns=list(COLUMNS))
    for title in ("split", "augmented"):
        write_plan(plan, plan_folder("bach", 1) / f"{title}.csv")
    no_leak("bach", len(plan), int((plan["patient"] != "").sum())).write(plan_folder("bach", 1) / "leaks.json")


def job_of(name: str = "resnet18", plan: str = "augmented", seed: int = 1) -> Job:
    """A job of the study in the working directory."""
    return Job("bach", 1, seed, name, plan, *variant(read_study("bach"), name))


def write_trained(job: Job) -> None:
    """What `train` and `predict` tell of themselves, made up."""
    names = [
        f"{side}_{name}"
        for name in ("loss", "class", "box", "mask", "rpn", "rpn_box")
        for side in ("train", "validation")
    ]
    row = {"epoch": [1]} | {name: [0.5 if "train" in name else np.nan] for name in names} | {"learning_rate": [0.001]}
    named = {"study": job.study, "run": job.run, "seed": job.seed, "parameters": 10}
    write_training(job.folder, pd.DataFrame(row), job.variant, job.plan, store_sha256={"bach": "b" * 64}, **named)
    write_speed(job.folder, 12, flops_per_image=None, images_per_second={"4": 2.0}, best_batch="4")


def write_detections(path: Path, called: dict[str, list[int]], classes: tuple[str, ...] = CLASSES) -> None:
    """A file of detections: in each image of a side the first of the true nuclei, with the class code it is `called`.

    0 finds nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = json.dumps(classes)
        for side, codes in called.items():
            found = [position for position, code in enumerate(codes) if code]
            masks = np.stack([true_mask(side, position) for position in found])
            group = file.create_group(side)
            group.attrs.update({"images": len(codes), "width": SIZE})
            group["image"] = np.array(found, np.int32)
            group["boxes"] = np.tile(np.float32([0, 0, 20, 20]), (len(found), 1))
            group["labels"] = np.array([codes[position] for position in found], np.uint8)
            group["scores"] = np.linspace(0.9, 0.7, len(found), dtype=np.float32)
            group["masks"] = np.packbits(masks, axis=2)
        file.create_group("validation").attrs["images"] = 0


def true_mask(side: str, position: int) -> np.ndarray:
    """The first nucleus of an image of a side, by the order of the plan."""
    indices = [index for index, name in enumerate(SIDES) if name == side]
    shard, index = divmod(position, len(indices))
    name = ("normal", "benign", "insitu", "invasive")[shard]
    with h5py.File(f"data/tiles/bach/{name}.h5", "r") as file:
        return np.asarray(file["instances"][indices[index]] == 1)
