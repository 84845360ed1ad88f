"""A project with a model of each task whose weights nobody trained, and the report that goes with it."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from ruamel.yaml import YAML
from torch import nn

from pipeline.base.parquet import write_rows
from pipeline.base.paths import REPORTS, evaluation_folder, variant_folder
from pipeline.base.records import Metrics, Model, Seen
from pipeline.models import build, weights
from pipeline.models.classifier import TileClassifier
from pipeline.models.mask_rcnn import mask_rcnn
from tests.records import MODEL
from tests.tiny_study import STUDY, set_params

LOSS = {"cross_entropy": 1, "dice": 0, "focal": 0}
ANCHORS = {"anchors": [8, 16, 32, 64, 128], "anchor_iou": [0.3, 0.7], "proposals": 20, "sampled": 16, "nms": 0.5}
TESTED = {"background": None, "neoplastic": 30, "dead": 29}  # nuclei
SEEN = Seen(
    dataset="pannuke", sha256="a" * 64, shards=["fold1"], patients=["Mr_7"], sample=True, tiles={"fold1": "0-4,7"}
)


def make_project(folder: Path, task: str = "segmentation", encoder: str = "unet", **values: Any) -> str:
    """Fill a folder, which must be the working directory; the model's name. `values` go to its model.json."""
    torch.manual_seed(1)
    if task == "segmentation":
        set_params(folder, compare=[encoder])
        name, plan = encoder, "plain"
        shape: dict[str, Any] = {"width": 8, "decoder_channels": [32, 16, 8], "head": 1}
        if encoder != "unet":
            shape["decoder_channels"] = [16, 8, 8, 4]
        record = _record(name, plan, encoder=encoder, shape=shape, **values)
        network: nn.Module = build(encoder, len(record.classes), **shape)
    elif task == "tiles":
        sorter = {"task": "tiles", "encoder": "mobilenet_v2", "train": {"loss": LOSS}}
        set_params(folder, "bracs", compare=["unet"], classifiers=["sorter"], started=[], variants={"sorter": sorter})
        name, plan = "sorter", "balanced"
        record = _record(name, plan, task=task, encoder="mobilenet_v2", target="UDH", datasets=["bracs"], **values)
        network = TileClassifier(record.encoder)
        with torch.no_grad():
            for _ in range(8):  # so that normalisation tells one image from another
                network(torch.rand(4, 3, 64, 64) * 5)
        network.head.weight.data.mul_(10)
    else:
        shape = {"width": 64, "channels": 16, "nuclei": 0.25, **ANCHORS}
        set_params(folder, "bach", compare=["resnet18"], variants={}, predict__score=0.0, predict__detections=10)
        path, yaml = folder / "studies" / STUDY / "params.yaml", YAML(typ="safe")
        params = yaml.load(path.read_text(encoding="utf-8"))
        del params["model"]["decoder_channels"], params["predict"]["speed_batches"]  # which are a U-Net's
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(params, file)
        name, plan = "resnet18", "augmented"
        record = _record(name, plan, task=task, encoder="resnet18", shape=shape, datasets=["bach"], **values)
        network = mask_rcnn(record)
    weights_folder = variant_folder(STUDY, 1, 42, name, plan) / "weights"
    weights_folder.mkdir(parents=True)
    weights.save(network, weights_folder / "model.safetensors")
    sha256 = weights.checksum(weights_folder / "model.safetensors")
    record.model_copy(update={"sha256": sha256}).write(weights_folder / "model.json")
    write_report(name, plan, sha256)
    return f"{STUDY}/{name}-{plan}"


def write_report(name: str, plan: str, sha256: str, score: float = 0.512345) -> None:
    """What `evaluate` and `report` leave of a variant."""
    Metrics(
        variant=name,
        plan=plan,
        run=1,
        seed=42,
        weights="random",
        parameters=5,
        trainable_parameters=5,
        flops_per_image=7,
        epochs_run=4,
        best_epoch=3,
        weights_sha256=sha256,
        scores={"mean_iou": 0.512345, "per_class": {each: {"pixels": 99, "nuclei": n} for each, n in TESTED.items()}},
    ).write(evaluation_folder(STUDY, 1, 42, name, plan) / "metrics.json")
    votes = {"split": "test", "truth": ["normal", "benign"], "nuclei": [40, 20]}
    write_rows(evaluation_folder(STUDY, 1, 42, name, plan) / "votes.parquet", pd.DataFrame(votes))  # a detector's
    folder = REPORTS / STUDY
    folder.mkdir(parents=True, exist_ok=True)
    named = {"study": STUDY, "source": "sample", "variant": name, "plan": plan}
    pd.DataFrame([{**named, "run": 1, "seed": 42, "mean_iou": score}]).to_csv(folder / "scores.csv", index=False)
    value, low, high = [score, 0.4, 0.0], [0.41, 0.3, 0.0], [0.61, 0.5, 0.0]
    figures = {"value": value, "sd": [float("nan")] * 3, "low": low, "high": high}
    scores = ["mean_iou", "f1_neoplastic", "f1_dead"]
    rows = pd.DataFrame({**{key: [value] * 3 for key, value in named.items()}, "score": scores})
    rows.assign(**figures, runs=1, unit="test tiles", units=48).to_csv(folder / "intervals.csv", index=False)


def _record(name: str, plan: str, **values: Any) -> Model:
    usual = {
        "study": STUDY,
        "variant": f"{name}-{plan}",
        "classes": ["background", "neoplastic", "dead"],
        "tile_size": 64,
        "mean": [0.7, 0.6, 0.7],
        "std": [0.2, 0.2, 0.2],
        "licence": "none: drawn tiles",
        "datasets": ["pannuke"],
        "sample": True,
        "trained_on": [SEEN],
        "shape": {},
    }
    return MODEL.model_copy(update={**usual, **values})
