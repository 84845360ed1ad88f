"""Train one variant of a study: `python -m pipeline.train <study> <run> <encoder> <augmentation>`.

In:  the plan data/plans/<study>/run<r>/seed<s>/<augmentation>.csv (its train and validation rows), the tile store,
     the data's licence in data/raw/<dataset>/SOURCE.json.
Out: the variant's weights/: model.safetensors (lowest validation loss, or the last where `train.patience` is null),
     last.safetensors, model.json; and training/: curves.csv (a row an epoch), training.json. Parameters and figures go
     to MLflow as they come.

An interrupted training goes on, when run again, from a file in models/.resume/ (see pipeline.training).
"""

import argparse
import hashlib
import json
import platform
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pipeline import tracking
from pipeline.errors import Problem, run_stage
from pipeline.examples import Examples
from pipeline.files import read_json, replacing, write_json
from pipeline.losses import balanced_weights
from pipeline.models import build, weights
from pipeline.online import OnlineExamples
from pipeline.params import Study, read_params
from pipeline.plan import plan_folder, read_plan
from pipeline.tiles import Shard
from pipeline.training import Epochs, ResumeFile, Training, fit
from pipeline.variants import AUGMENTATIONS, full_name, variant_folder

CODE = ("training.py", "examples.py", "losses.py", "online.py", "transforms.py", "models/*.py")  # shapes the weights


def main() -> None:
    parser = argparse.ArgumentParser(description="Train one variant of a study.")
    parser.add_argument("study")
    parser.add_argument("run", type=int)
    parser.add_argument("encoder", help="an encoder, or a name among the study's variants")
    parser.add_argument("augmentation", choices=AUGMENTATIONS)
    parser.add_argument("--seed", type=int, help="of the training; the top-level seed of params.yaml where not given")
    arguments = parser.parse_args()
    params = read_params()
    encoder, study = params.study(arguments.study).of(arguments.encoder)
    seed = params.seed if arguments.seed is None else arguments.seed
    started = time.monotonic()

    path = plan_folder(arguments.study, arguments.run, params.seed) / f"{arguments.augmentation}.csv"
    plan = read_plan(path)
    training, validation = (Examples.of(plan[plan["split"] == side], study) for side in ("train", "validation"))
    for side, examples in (("train", training), ("validation", validation)):
        if not len(examples) and (side == "train" or study.train.patience is not None):
            raise Problem(
                f"{path} has no {side} rows; change {arguments.study}.split in params.yaml"
                f"{', or set train.patience to null' if side == 'validation' else ''}."
            )
    online = study.augment.online if arguments.augmentation == "augmented" else None

    torch.manual_seed(seed)
    model = study.model
    network = build(encoder, len(study.classes), model.width, model.decoder_channels, model.head)
    first_weights = weights.initialise(network, encoder, model.weights)
    if model.freeze_encoder:
        network.get_submodule("encoder").requires_grad_(False)
    description = describe(study, encoder, first_weights)
    stores = {
        str(name): Shard(Path("data/tiles") / str(name) / f"{shard}.h5").info.source_sha256
        for name, shard in plan.groupby("dataset", sort=True)["shard"].first().items()
    }
    settings: dict[str, Any] = {
        "train": study.train.model_dump(exclude={"workers"}),
        "online": online and online.model_dump(),
    }
    settings |= {"freeze_encoder": model.freeze_encoder, "ignore": study.ignore}
    shaping = [description, settings, seed, stores, path.read_text("utf-8")]
    folder = variant_folder(arguments.study, arguments.run, seed, arguments.encoder, arguments.augmentation)
    key = folder.relative_to("models")
    resume = ResumeFile(Path("models/.resume") / key, fingerprint(shaping, first_weights))

    variant = full_name(arguments.encoder, encoder, first_weights, arguments.augmentation)
    with tracking.variant_run(arguments.study, variant, key.as_posix(), weights_sha256=None) as run:
        run.params({"seed": seed, "run": arguments.run, "data": stores})
        run.params({**settings, "model": description})
        module = Training(network, description, study.train, class_weights(study, training), seed)
        epochs = Epochs(resume, run.metrics, keep_last=study.train.patience is None)
        examples_of = OnlineExamples(training, online, seed) if online else training
        machine = fit(module, epochs, examples_of, validation)
        with replacing(folder / "weights") as temporary:
            temporary.mkdir()
            weights.save(network, temporary / "last.safetensors")
            network.load_state_dict(epochs.best)
            weights.save(network, temporary / "model.safetensors")
            write_json(temporary / "model.json", description)
        sha256 = hashlib.sha256((folder / "weights" / "model.safetensors").read_bytes()).hexdigest()
        record = {
            "study": arguments.study,
            "run": arguments.run,
            "seed": seed,
            "variant": variant,
            "encoder": arguments.encoder,
            "augmentation": arguments.augmentation,
            "weights": first_weights,
            "examples": {"train": len(training), "validation": len(validation)},
            "epochs_run": len(epochs.rows),
            "best_epoch": epochs.best_epoch,
            "stopped_early": len(epochs.rows) < study.train.epochs,
            "parameters": sum(value.numel() for value in network.parameters()),
            "trainable_parameters": sum(value.numel() for value in network.parameters() if value.requires_grad),
            "weights_sha256": sha256,
            "store_sha256": stores,
            "machine": {
                "seconds": round(time.monotonic() - started, 1),
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


def describe(study: Study, encoder: str, first_weights: str) -> dict[str, Any]:
    """The content of model.json: how to build the model, how to feed it, and under which licence its weights are.

    Weights inherit the licence of the data they were trained on, whatever the licence of the code is.
    """
    sources = {name: read_json(Path("data/raw") / name / "SOURCE.json") for name in study.datasets}
    mean, std = weights.normalisation(encoder, first_weights)
    return {
        "encoder": encoder,
        "classes": study.classes,
        "tile_size": study.tile_size,
        "width": study.model.width,
        "decoder_channels": study.model.decoder_channels,
        "head": study.model.head,
        "weights": first_weights,
        "mean": mean,
        "std": std,
        "licence": "; ".join(sorted({source["licence"] for source in sources.values()})),
        "datasets": study.datasets,
        "sample": any(source["source"] == "sample" for source in sources.values()),
    }


def fingerprint(shaping: list[Any], first_weights: str) -> str:
    """A hash of all that shapes the weights: parameters, plan, tiles, first weights, code, version of torch."""
    digest = hashlib.sha256(json.dumps([torch.__version__, *shaping], sort_keys=True).encode())
    for path in sorted(path for pattern in CODE for path in Path(__file__).parent.glob(pattern)):
        digest.update(path.read_bytes())
    if first_weights not in {"random", "imagenet"}:
        digest.update(Path(first_weights).expanduser().read_bytes())
    return digest.hexdigest()


def class_weights(study: Study, training: Examples) -> list[float]:
    """What `train.class_weights` in params.yaml means, one number a class."""
    match study.train.class_weights:
        case "none":
            return [1.0] * len(study.classes)
        case "balanced":
            return balanced_weights((training.class_map(i) for i in range(len(training))), len(study.classes))
        case listed:
            return [float(value) for value in listed]


if __name__ == "__main__":
    run_stage(main)
