"""Put the papers' budgets, sources and weights into params.yaml; every comment stays where it is.

`make paper` or `lobule paper`, once; afterwards `dvc repro` on a machine with a GPU rebuilds the papers' tables.
"""

import argparse
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.base.files import replacing
from pipeline.base.params import parse_params

# What a paper fixes, or, where it is silent, a usual budget (docs/datasets and the reports say which is which).
PAPER: dict[str, Any] = {
    "datasets.pannuke.source": "official",
    "datasets.tnbc.source": "official",
    "datasets.monuseg.source": "official",
    "datasets.bach.source": "official",
    "datasets.bracs.tiling.tile_size": 512,
    "datasets.bracs.tiling.stride": 512,
    "pannuke.runs.second": 2,
    "pannuke.runs.third": 3,
    "pannuke.tile_size": 128,
    "pannuke.model.weights": "imagenet",
    "pannuke.model.width": 64,
    "pannuke.model.decoder_channels": [512, 256, 128, 64],
    "pannuke.train.epochs": 100,
    "pannuke.train.patience": 15,
    "pannuke.train.batch": 16,
    "pannuke.train.learning_rate": 0.0001,
    "pannuke.train.workers": 8,
    "pannuke.predict.batch": 64,
    "pannuke.predict.speed_batches": [1, 16, 64],
    "tnbc.tile_size": 512,
    "tnbc.compare": [
        "unet",
        "unet-bn",
        *(
            f"{encoder}-{weights}"
            for weights in ("random", "imagenet")
            for encoder in ("resnet50", "resnet101", "resnext50", "resnext101", "densenet121", "densenet201")
        ),
    ],
    "tnbc.model.width": 64,
    "tnbc.model.decoder_channels": [512, 256, 128, 64],
    "tnbc.train.epochs": 20,
    "tnbc.train.learning_rate": 0.0001,
    "tnbc.train.workers": 8,
    "tnbc.predict.batch": 8,
    "bracs.tile_size": 512,
    "bracs.split.fractions": [0.7, 0.1, 0.2],
    "bracs.model.width": 64,
    "bracs.compare": [
        "unet",
        "resnet50",
        *(f"unet-paper{ending}" for ending in ("", "-1e-4", "-1e-5", "-1e-6", "-1e-6-100")),
        "resnet50-paper",
    ],
    "bracs.train.epochs": 50,
    "bracs.train.patience": 50,
    "bracs.train.workers": 8,
    "bracs.classifier.variants": ["unet-densenet121", "unet-densenet121-paper"],
    "bracs.classifier.epochs": 50,
    "bracs.classifier.learning_rate": 0.0001,
    "bcss.tile_size": 224,
    "bcss.model.weights": "imagenet",
    "bcss.model.decoder_channels": [256, 128, 64, 32, 16],
    "bcss.train.patience": 3,
    "bcss.train.batch": 64,
    "bcss.train.workers": 8,
    "bcss.predict.batch": 64,
    "bach.tile_size": 768,
    "bach.compare": ["resnet50", "resnet101"],
    "bach.model.weights": "imagenet",
    "bach.model.width": 64,
    "bach.detector.channels": 256,
    "bach.detector.anchors": [8, 16, 32, 64, 128],
    "bach.detector.proposals": 1000,
    "bach.detector.sampled": 512,
    "bach.detector.nuclei": 0.25,
    "bach.detector.score": 0.5,
    "bach.detector.detections": 300,
    "bach.train.epochs": 50,
    "bach.train.batch": 4,
    "bach.train.workers": 8,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(arguments: argparse.Namespace) -> None:
    path = Path("params.yaml")
    changed = apply(path, PAPER)
    print("\n".join(changed) if changed else "params.yaml holds the papers' values already.")


def apply(path: Path, values: dict[str, Any]) -> list[str]:
    """Set dotted keys in a YAML file, keeping its comments and layout; return a line for each that changed.

    Raises:
        Problem: the file as it is, or as it would be, is not valid; nothing is written.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a list stays on its line
    yaml.representer.add_representer(type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null"))
    document = yaml.load(path.read_text(encoding="utf-8"))
    parse_params(document, str(path))
    changed = []
    for key, value in values.items():
        *blocks, last = key.split(".")
        block = document
        for name in blocks:
            block = block[name]
        if block[last] != value:
            changed.append(f"{key}: {_flow(block[last])} -> {_flow(value)}")
            if isinstance(value, list):
                block[last][:] = value  # the list's own object keeps its one-line style and its comment
            else:
                block[last] = value
    parse_params(document, str(path))
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yaml.dump(document, file)
    return changed


def _flow(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
