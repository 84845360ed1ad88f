"""What surrounds a training, whatever is trained: which variant on which plan, MLflow, the files that it leaves."""

import argparse
import hashlib
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pipeline.base import tracking
from pipeline.base.errors import Problem
from pipeline.base.files import read_json, replacing, write_json
from pipeline.base.params import Study, read_params
from pipeline.base.paths import AUGMENTATIONS, full_name, variant_folder
from pipeline.models import weights
from pipeline.tiles.plan import plan_folder, read_plan
from pipeline.tiles.store import Shard
from pipeline.training.loop import Epochs, Learner, ResumeFile, fit


@dataclass(frozen=True)
class Job:
    """The training of one variant of a study in one run with one seed."""

    study: str
    run: int
    seed: int
    name: str  # of the variant
    augmentation: str
    encoder: str
    settings: Study  # the study with what the variant changes
    plan_path: Path
    folder: Path  # of its weights/ and training/
    started: float = field(default_factory=time.monotonic)

    @cached_property
    def plan(self) -> pd.DataFrame:
        """The plan that the variant is trained on."""
        return read_plan(self.plan_path)

    def rows(self, side: str) -> pd.DataFrame:
        """The plan's rows of one side of the split.

        Raises:
            Problem: there are none where they are needed.
        """
        rows = self.plan[self.plan["split"] == side]
        if rows.empty and (side == "train" or self.settings.train.patience is not None):
            raise Problem(
                f"{self.plan_path} has no {side} rows; change {self.study}.split in params.yaml"
                f"{', or set train.patience to null' if side == 'validation' else ''}."
            )
        return rows

    def describe(self, first_weights: str, mean: Sequence[float], std: Sequence[float], **shape: Any) -> dict[str, Any]:
        """The content of model.json: how to build the model (`shape`), how to feed it, under which licence it is.

        Weights inherit the licence of the data they were trained on, whatever the licence of the code is.
        """
        study = self.settings
        sources = {name: read_json(Path("data/raw") / name / "SOURCE.json") for name in study.datasets}
        return {
            "encoder": self.encoder,
            "classes": study.classes,
            "tile_size": study.tile_size,
            **shape,
            "weights": first_weights,
            "mean": list(mean),
            "std": list(std),
            "licence": "; ".join(sorted({source["licence"] for source in sources.values()})),
            "datasets": study.datasets,
            "sample": any(source["source"] == "sample" for source in sources.values()),
        }


def read_job(what: str) -> Job:
    """The training that the command line asks for."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("study")
    parser.add_argument("run", type=int)
    parser.add_argument("encoder", help="an encoder, or a name among the study's variants")
    parser.add_argument("augmentation", choices=AUGMENTATIONS)
    parser.add_argument("--seed", type=int, help="of the training; the top-level seed of params.yaml where not given")
    found = parser.parse_args()
    params = read_params()
    encoder, settings = params.study(found.study).of(found.encoder)
    seed = params.seed if found.seed is None else found.seed
    path = plan_folder(found.study, found.run, params.seed) / f"{found.augmentation}.csv"
    folder = variant_folder(found.study, found.run, seed, found.encoder, found.augmentation)
    return Job(found.study, found.run, seed, found.encoder, found.augmentation, encoder, settings, path, folder)


def carry_out(
    job: Job,
    learner: Learner,
    description: dict[str, Any],
    settings: dict[str, Any],
    training: Any,
    validation: Any,
    code: Sequence[str],
) -> None:
    """Train, and write the variant's weights/ and training/.

    Args:
        description: the content of model.json.
        settings: what else shapes the weights, beside seed, plan and tiles.
        training: what is learnt from, as torch's loader takes it; likewise `validation`, which may be empty.
        code: the files that shape the weights, as patterns in pipeline/.

    Raises:
        Problem: the loss is no finite number.
    """
    network, study, first_weights = learner.network, job.settings, description["weights"]
    stores = {
        str(name): Shard(Path("data/tiles") / str(name) / f"{shard}.h5").info.source_sha256
        for name, shard in job.plan.groupby("dataset", sort=True)["shard"].first().items()
    }
    shaping = [description, settings, job.seed, stores, job.plan_path.read_text("utf-8")]
    folder, key = job.folder, job.folder.relative_to("models")
    resume = ResumeFile(Path("models/.resume") / key, fingerprint(shaping, first_weights, code))

    variant = full_name(job.name, job.encoder, first_weights, job.augmentation)
    with tracking.variant_run(job.study, variant, key.as_posix(), weights_sha256=None) as run:
        run.params({"seed": job.seed, "run": job.run, "data": stores})
        run.params({**settings, "model": description})
        epochs = Epochs(resume, run.metrics, keep_last=study.train.patience is None)
        machine = fit(learner, epochs, training, validation)
        with replacing(folder / "weights") as temporary:
            temporary.mkdir()
            weights.save(network, temporary / "last.safetensors")
            network.load_state_dict(epochs.best)
            weights.save(network, temporary / "model.safetensors")
            write_json(temporary / "model.json", description)
        sha256 = hashlib.sha256((folder / "weights" / "model.safetensors").read_bytes()).hexdigest()
        record = {
            "study": job.study,
            "run": job.run,
            "seed": job.seed,
            "variant": variant,
            "encoder": job.name,
            "augmentation": job.augmentation,
            "weights": first_weights,
            "examples": {side: int((job.plan["split"] == side).sum()) for side in ("train", "validation")},
            "epochs_run": len(epochs.rows),
            "best_epoch": epochs.best_epoch,
            "stopped_early": len(epochs.rows) < study.train.epochs,
            "parameters": sum(value.numel() for value in network.parameters()),
            "trainable_parameters": sum(value.numel() for value in network.parameters() if value.requires_grad),
            "weights_sha256": sha256,
            "store_sha256": stores,
            "machine": {
                "seconds": round(time.monotonic() - job.started, 1),
                **machine,
                "torch": torch.__version__,
                "python": platform.python_version(),
                "platform": platform.platform(),
            },
        }
        with replacing(folder / "training") as temporary:
            temporary.mkdir()
            pd.DataFrame(epochs.rows).to_csv(temporary / "curves.csv", index=False, lineterminator="\n")
            write_json(temporary / "training.json", record)
        run.tags({tracking.WEIGHTS: sha256})
        for name in ("model.safetensors", "model.json"):
            run.artifact(folder / "weights" / name, "weights")
        run.artifact(folder / "training", "training")
    resume.remove()


def fingerprint(shaping: list[Any], first_weights: str, code: Sequence[str]) -> str:
    """A hash of all that shapes the weights: parameters, plan, tiles, first weights, code, version of torch."""
    digest = hashlib.sha256(json.dumps([torch.__version__, *shaping], sort_keys=True).encode())
    for path in sorted(path for pattern in code for path in Path(__file__).parents[1].glob(pattern)):
        digest.update(path.read_bytes())
    if first_weights not in {"random", "imagenet"}:
        digest.update(Path(first_weights).expanduser().read_bytes())
    return digest.hexdigest()
