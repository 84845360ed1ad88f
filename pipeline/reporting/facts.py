"""What a report says of its data, parameters and machine, beside its figures."""

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.base.files import read_json
from pipeline.base.params import Params
from pipeline.tiles.plan import SPLITS
from pipeline.tiles.store import shards

PACKAGES = ("torch", "torchvision", "segmentation-models-pytorch", "lightning", "numpy", "dvc")


def near_duplicates(plans: Mapping[int, Path]) -> list[dict[str, Any]]:
    """Pairs of tiles on two sides of a split that `guard` found to look alike, each with its run."""
    found = []
    for run, folder in plans.items():
        leaks = read_json(folder / "leaks.json")
        for pair in leaks["near_duplicates"]:
            sides = [(side, pair[side]) for side in SPLITS if side in pair]
            tiles = [f"{tile['shard']} tile {tile['index']} ({side})" for side, tile in sides]
            found.append({"run": run, "distance": pair["distance"], "tiles": " and ".join(tiles)})
    return found


def leaks(plans: Mapping[int, Path]) -> dict[str, int]:
    """What is on two sides of the split of any run, and how many of it; empty where nothing may be."""
    counted: dict[str, int] = {}
    for folder in plans.values():
        for what, count in read_json(folder / "leaks.json").get("leaks", {}).items():
            counted[what] = counted.get(what, 0) + count
    return counted


def native_size(dataset: str) -> dict[str, float]:
    """Size of the data set's tiles in pixels, and of a pixel in micrometres."""
    shard = shards(dataset)[0]
    return {"pixels": shard.file["images"].shape[1], "microns": shard.info.microns_per_pixel}


def as_yaml(params: Params, study: str) -> str:
    """The parameters that the report rests on, as they stand in params.yaml."""
    raw = params.model_dump(mode="json")
    used = {"seed": raw["seed"], "datasets": {name: raw["datasets"][name] for name in raw[study]["datasets"]}}
    if not raw[study]["compare"]:
        used = {"encoder": raw["encoder"]} | used
    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = None  # short lists stay on one line
    yaml.width = 110
    yaml.dump(used | {study: raw[study]}, text)
    return text.getvalue()


def machine() -> dict[str, str]:
    """Versions, commit and platform of the machine that writes the report."""
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "Python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "platform": platform.platform(),
        "commit": git.stdout.strip() or "none",
    }
