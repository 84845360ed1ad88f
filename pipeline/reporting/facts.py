"""What a report says of its data, parameters and machine, beside its figures."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.base import tracking
from pipeline.base.params import Params
from pipeline.base.paths import PLANS
from pipeline.base.records import Leaks, NearDuplicates
from pipeline.base.slide_index import account, count_states
from pipeline.base.study import AnyStudy
from pipeline.reporting.markdown import literal
from pipeline.tiles.plan import SPLITS, read_plan
from pipeline.tiles.store import shards

PACKAGES = ("torch", "torchvision", "segmentation-models-pytorch", "lightning", "numpy", "dvc")


@dataclass(frozen=True)
class Guarded:
    """What `guard` found in the splits of all runs, and what it cannot know."""

    leaks: dict[str, int]  # what is on two sides, and how many of it; empty where nothing may be
    unknown: list[str]  # a sentence each
    textureless: int  # tiles that were compared with none
    near: list[dict[str, Any]]  # run, distance, tiles and their nearest two, of groups that look alike
    groups: int  # how many there are


def guarded(plans: Mapping[int, Path]) -> Guarded:
    """What leaks.json says in each run's folder of plans; sentences that hold in every run stand once."""
    found = {run: Leaks.read(folder / "leaks.json") for run, folder in plans.items()}
    leaks: Counter[str] = Counter()
    for each in found.values():
        leaks.update(each.leaks)
    said = dict.fromkeys(sentence for each in found.values() for sentence in each.unknown)
    unknown = []
    for sentence in said:
        runs = [run for run, each in found.items() if sentence in each.unknown]
        where = "" if len(runs) == len(found) else f"Run {', '.join(map(str, runs))}: "
        unknown.append(where + sentence)
    return Guarded(
        leaks=dict(leaks),
        unknown=unknown,
        textureless=max((each.textureless for each in found.values()), default=0),
        near=[_named(run, group) for run, each in found.items() for group in each.near_duplicates],
        groups=sum(each.near_groups for each in found.values()),
    )


def _named(run: int, group: NearDuplicates) -> dict[str, Any]:
    nearest = " and ".join(f"{literal(tile.shard)} tile {tile.index} ({side})" for side, tile in group.nearest.items())
    return {"run": run, "distance": group.distance, "tiles": sum(group.tiles.values()), "nearest": nearest}


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


def cut_images(folder: Path) -> dict[str, int]:
    """Test tiles that are parts of a larger image or slide, and of how many such, from a folder of plans."""
    plan = read_plan(folder / "split.csv")
    plan = plan[plan["slide"] != ""]
    parts = plan[plan.duplicated(["dataset", "slide"], keep=False) & (plan["split"] == "test")]
    return {"tiles": len(parts), "images": len(parts.drop_duplicates(["dataset", "slide"]))}


def cut_slides(datasets: Sequence[str]) -> dict[str, str]:
    """What became of the tiles of each data set of whole slides, a clause; data sets without an index are left out."""
    found = {}
    for dataset in datasets:
        indices = [
            path for shard in shards(dataset) if (path := shard.path.with_name(f"{shard.path.stem}.csv")).exists()
        ]
        if indices:
            found[dataset] = account(sum(map(count_states, indices), Counter[str]()))
    return found


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
