"""What a report says of its data, parameters and machine, beside its figures."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.base import tracking
from pipeline.base.params import Params
from pipeline.base.paths import PLANS
from pipeline.base.records import Leaks
from pipeline.base.study import AnyStudy
from pipeline.tiles.plan import SPLITS, read_plan
from pipeline.tiles.store import shards

PACKAGES = ("torch", "torchvision", "segmentation-models-pytorch", "lightning", "numpy", "dvc")


def near_duplicates(plans: Mapping[int, Path]) -> list[dict[str, Any]]:
    """Pairs of tiles on two sides of a split that `guard` found to look alike, each with its run."""
    found = []
    for run, folder in plans.items():
        for pair in Leaks.read(folder / "leaks.json").near_duplicates:
            sides = [(side, pair.tiles[side]) for side in SPLITS if side in pair.tiles]
            tiles = [f"{tile.shard} tile {tile.index} ({side})" for side, tile in sides]
            found.append({"run": run, "distance": pair.distance, "tiles": " and ".join(tiles)})
    return found


def leaks(plans: Mapping[int, Path]) -> dict[str, int]:
    """What is on two sides of the split of any run, and how many of it; empty where nothing may be."""
    counted: dict[str, int] = {}
    for folder in plans.values():
        for what, count in Leaks.read(folder / "leaks.json").leaks.items():
            counted[what] = counted.get(what, 0) + count
    return counted


def count_tiles(plans: Mapping[int, Path]) -> list[dict[str, Any]]:
    """Tiles and known patients of each run and split, and the training examples that plans make of them, or None.

    `plans` names the folder of each run's plans.
    """
    result = []
    for run, folder in plans.items():
        plan = read_plan(folder / "split.csv")
        tiles = plan["split"].value_counts()
        patients = plan[plan["patient"] != ""].groupby("split")["patient"].nunique()
        training = {kind: (read_plan(folder / f"{kind}.csv")["split"] == "train").sum() for kind in PLANS}
        for split in SPLITS:
            examples = {kind: int(count) if split == "train" else None for kind, count in training.items()}
            counts = {"tiles": int(tiles.get(split, 0)), "patients": int(patients.get(split, 0))}
            result.append({"run": run, "split": split} | counts | examples)
    return result


def count_parts(folder: Path) -> list[dict[str, Any]]:
    """Data set, side, tiles and known patients of each part of a split, from a folder of plans."""
    plan = read_plan(folder / "split.csv")
    return [
        {"dataset": dataset, "split": split, "tiles": len(rows), "patients": sorted(set(rows["patient"]) - {""})}
        for split in SPLITS
        for dataset, rows in plan[plan["split"] == split].groupby("dataset", sort=False)
    ]


def native_size(dataset: str) -> dict[str, float]:
    """Size of the data set's tiles in pixels, and of a pixel in micrometres."""
    shard = shards(dataset)[0]
    return {"pixels": shard.file["images"].shape[1], "microns": shard.info.microns_per_pixel}


def as_yaml(params: Params, study: AnyStudy) -> str:
    """The parameters that the report rests on: what it uses of params.yaml, and the study's own."""
    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = None  # short lists stay on one line
    yaml.width = 110
    yaml.dump(
        _worded(params.used_by(study) | {study.study: study.model_dump(mode="json", exclude={"study", "readers"})}),
        text,
    )
    return text.getvalue()


def _worded(value: Any) -> Any:
    """Parameters as the files have them: `none` where there is nothing."""
    if isinstance(value, dict):
        return {key: _worded(each) for key, each in value.items()}
    return "none" if value is None else value


def machine() -> dict[str, str]:
    """Versions, commit and platform of the machine that writes the report."""
    return {
        "Python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "platform": platform.platform(),
        "commit": tracking.git("rev-parse", "--short", "HEAD") or "none",
    }
