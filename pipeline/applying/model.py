"""The model that a person names: a variant of a study, or a folder with its weights."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.base.errors import Problem
from pipeline.base.fetch import sha256_of
from pipeline.base.paths import PLANS, variant_folder
from pipeline.base.records import Model
from pipeline.base.study import PixelStudy, read_study, study_names, variant
from pipeline.base.study_blocks import Instances

TASKS = ("segmentation",)


@dataclass(frozen=True)
class Chosen:
    """A weights folder, what its model.json says, and what its study says of using it."""

    folder: Path
    record: Model
    sha256: str  # of the weights
    instances: Instances | None  # how nuclei are found in a class map; None where areas are sought
    flips: bool


def choose(name: str, run: int | None, seed: int | None, instances: str | None, minimum_size: int) -> Chosen:
    """The model of a weights folder, or of STUDY/VARIANT-PLAN in a run with a seed (the study's first ones).

    Args:
        instances: watershed or components for nuclei, none for areas; None: as the model's study says.
        minimum_size: of nuclei, px; counts where `instances` is given.

    Raises:
        Problem: there is no such model, it is of a task that cannot be applied, or nobody tells how to use it.
    """
    folder = Path(name) if (Path(name) / "model.json").exists() else _of_variant(name, run, seed)
    record = Model.read(folder / "model.json")
    if record.task not in TASKS:
        raise Problem(f"{folder} is a model of the task {record.task}; `lobule apply` takes {', '.join(TASKS)} only.")
    weights = folder / "model.safetensors"
    if not weights.exists():
        raise Problem(f"{weights} is missing; copy the whole folder, or train again.")
    study = _study(record)
    if instances is None and study is None:
        raise Problem(
            f"the study {record.study} of {folder} is not in this project; say --instances watershed or none."
        )
    own = None if study is None else study.instances
    given = None if instances in (None, "none") else Instances(method=instances, minimum_size=minimum_size)  # type: ignore[arg-type]
    flips = study is not None and study.predict.flips
    return Chosen(folder, record, sha256_of(weights), own if instances is None else given, flips)


def network_of(model: Chosen, device: torch.device) -> torch.nn.Module:
    """The network of a model, from images (B, H, W, 3) uint8 to logits, ready to predict."""
    from pipeline.tasks.segmentation.predict import load_model

    return load_model(model.folder, device, model.flips)[0]


def _of_variant(name: str, run: int | None, seed: int | None) -> Path:
    study_name, _, row = name.partition("/")
    variant_name, _, plan = row.rpartition("-")
    if not variant_name or plan not in PLANS or study_name not in study_names():
        raise Problem(f"{name!r} is neither a folder with model.json nor STUDY/VARIANT-PLAN, as reports tell it.")
    study = read_study(study_name)
    number, first = run or study.runs[0], study.seeds[0] if seed is None else seed
    folder = variant_folder(study_name, number, first, variant_name, plan) / "weights"
    if not (folder / "model.json").exists():
        raise Problem(
            f"{folder} holds no model; run `dvc repro` or `dvc pull`, or name another variant, --run or --seed."
        )
    return folder


def _study(record: Model) -> PixelStudy | None:
    """The study of a model with what its variant changes, where the project has it."""
    if record.study not in study_names():
        return None
    _, settings = variant(read_study(record.study), record.variant.rpartition("-")[0])
    return settings if isinstance(settings, PixelStudy) else None
