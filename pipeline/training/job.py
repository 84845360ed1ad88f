"""What surrounds a training, whatever is trained: its plan, MLflow, the files that it leaves."""

import hashlib
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import pandas as pd
import torch

from pipeline.base import tracking
from pipeline.base.errors import Problem
from pipeline.base.files import replacing
from pipeline.base.paths import TILES
from pipeline.base.records import Model, Training, TrainingMachine
from pipeline.models import weights
from pipeline.plans.job import Job
from pipeline.tiles.plan import read_plan
from pipeline.tiles.store import Shard, shards
from pipeline.training.learner import NO_NUMBER, Learner
from pipeline.training.loop import Epochs, fit
from pipeline.training.passport import check_first, first_card, is_known, joined, seen
from pipeline.training.resume import ResumeFolder


@dataclass(frozen=True)
class Lesson:
    """What a task hands over to be trained."""

    learner: Learner
    model: Model
    settings: dict[str, Any]  # what else shapes the weights, beside seed, plan and tiles
    training: Any  # what is learnt from, as torch's loader takes it,
    validation: Any  # and likewise what the epochs are compared by; may be empty
    code: Sequence[str]  # the files that shape the weights, as patterns in pipeline/


def plan_rows(job: Job, side: str) -> pd.DataFrame:
    """The rows of one side of the plan that the variant is trained on.

    Raises:
        Problem: there are none where they are needed.
    """
    path = job.plan_path(job.plan)
    plan = read_plan(path)
    rows = plan[plan["split"] == side]
    if rows.empty and (side == "train" or job.settings.train.patience is not None):
        raise Problem(
            f"{path} has no {side} rows; change split in studies/{job.study}/params.yaml"
            f"{', or set train.patience to none there' if side == 'validation' else ''}."
        )
    return rows


def describe(job: Job, first_weights: str, mean: Sequence[float], std: Sequence[float], **shape: Any) -> Model:
    """What model.json says: how to build the model (`shape`), how to feed it, under which licence it is.

    Weights inherit the licence of the data that they and their first weights were trained on, whatever the code's is.

    Raises:
        Problem: the first weights were trained on what the study tests with.
    """
    study = job.settings
    plan, card = read_plan(job.plan_path(job.plan)), first_card(first_weights)
    before = card.trained_on if card else []
    check_first(plan, before, first_weights)
    stores = {name: shards(name)[0] for name in study.datasets}
    store = next(iter(stores.values()))
    licences = card.licence.split("; ") if card else []
    return Model(
        study=job.study,
        variant=f"{job.variant}-{job.plan}",
        task=job.task,
        encoder=job.encoder,
        classes=study.classes,
        tile_size=study.tile_size,
        microns_per_pixel=store.info.microns_per_pixel * min(store.file["images"].shape[1:3]) / study.tile_size,
        greyscale=study.greyscale,
        target=study.target,
        shape=shape,
        weights=first_weights,
        mean=list(mean),
        std=list(std),
        licence="; ".join(sorted({*licences, *(store.info.licence for store in stores.values())})),
        datasets=study.datasets,
        sample=any(store.info.source == "sample" for store in stores.values()),
        trained_on=joined([*before, *seen(plan)]),
        first_known=is_known(first_weights, card),
    )


def train(job: Job, lesson: Lesson, started: float) -> None:
    """Train, and write the variant's weights/ and training/; `started` is the clock (s) when the stage began.

    Of several processes the first one writes, and the others write nothing.

    Raises:
        Problem: the loss is no finite number.
    """
    learner, model, folder = lesson.learner, lesson.model, job.folder
    keep_last = job.settings.train.patience is None
    if learner.peers.rank:
        fit(learner, Epochs(None, lambda *_, **__: None, keep_last), lesson.training, lesson.validation)
        return
    path = job.plan_path(job.plan)
    plan = read_plan(path)
    stores = {
        str(name): Shard(TILES / str(name) / f"{shard}.h5").info.source_sha256
        for name, shard in plan.groupby("dataset", sort=True)["shard"].first().items()
    }
    key = folder.relative_to("models")
    resume = ResumeFolder(Path("models/.resume") / key, bound(job, lesson))

    title = full_name(job, model.weights)
    with tracking.variant_run(job.study, title, key.as_posix(), weights_sha256=None) as run:
        run.params({"variant": job.variant, "plan": job.plan, "seed": job.seed, "run": job.run, "data": stores})
        run.params({**lesson.settings, "model": model.model_dump(exclude={"trained_on"})})  # which may be long
        epochs = Epochs(resume, run.metrics, keep_last)
        machine = fit(learner, epochs, lesson.training, lesson.validation)
        learner.network.load_state_dict(finite(epochs.best))
        with replacing(folder / "weights") as temporary:
            temporary.mkdir()
            weights.save(learner.network, temporary / "model.safetensors")
            sha256 = weights.checksum(temporary / "model.safetensors")
            model.model_copy(update={"sha256": sha256}).write(temporary / "model.json")
        record = Training(
            study=job.study,
            run=job.run,
            seed=job.seed,
            variant=job.variant,
            plan=job.plan,
            title=title,
            weights=model.weights,
            examples={side: int((plan["split"] == side).sum()) for side in ("train", "validation")},
            epochs_run=len(epochs.rows),
            best_epoch=epochs.best_epoch,
            stopped_early=len(epochs.rows) < job.settings.train.epochs,
            parameters=sum(value.numel() for value in learner.network.parameters()),
            trainable_parameters=sum(value.numel() for value in learner.network.parameters() if value.requires_grad),
            weights_sha256=sha256,
            store_sha256=stores,
            machine=TrainingMachine(
                seconds=round(time.monotonic() - started, 1),
                **machine,
                torch=torch.__version__,
                python=platform.python_version(),
                platform=platform.platform(),
            ),
        )
        with replacing(folder / "training") as temporary:
            temporary.mkdir()
            pd.DataFrame(epochs.rows).to_csv(temporary / "curves.csv", index=False, lineterminator="\n")
            record.write(temporary / "training.json")
        run.tags({tracking.WEIGHTS: sha256})
        for name in ("model.safetensors", "model.json"):
            run.artifact(folder / "weights" / name, "weights")
        run.artifact(folder / "training", "training")
    resume.remove()


def finite(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights, refused where one is no number: the last step may spoil them, and no loss is computed after it."""
    for name, values in tensors.items():
        if values.is_floating_point() and not bool(torch.isfinite(values).all()):
            raise Problem(f"the trained weights are no finite numbers ({name} is the first); {NO_NUMBER}.")
    return tensors


def full_name(job: Job, first_weights: str) -> str:
    """What the training is called in MLflow: its first weights stand in it where the variant does not tell them."""
    named = [job.variant] if job.variant != job.encoder else [job.variant, Path(first_weights).stem]
    return "-".join([*named, job.plan])


def bound(job: Job, lesson: Lesson) -> dict[str, str]:
    """A digest of each thing that shapes the weights, by what a person calls it; a state of others is not gone on from.

    Shards count by size and time of change, since there may be more than is read in a minute.
    """
    path = job.plan_path(job.plan)
    shards = read_plan(path)[["dataset", "shard"]].drop_duplicates()
    files = [TILES / str(row["dataset"]) / f"{row['shard']}.h5" for _, row in shards.iterrows()]
    first = lesson.model.weights
    code = sorted(path for pattern in lesson.code for path in Path(__file__).parents[1].glob(pattern))
    versions = f"torch {torch.__version__}, lightning {lightning.__version__}"
    return {
        "parameters": _digest(
            json.dumps(
                [lesson.model.model_dump(exclude={"trained_on"}), lesson.settings, job.seed], sort_keys=True
            ).encode()
        ),
        "plan": _digest(path.read_bytes()),
        "tiles": _digest(*(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}".encode() for file in files)),
        "first weights": _digest(b"" if first in {"random", "imagenet"} else Path(first).expanduser().read_bytes()),
        "code": _digest(versions.encode(), *(file.read_bytes() for file in code)),
    }


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
