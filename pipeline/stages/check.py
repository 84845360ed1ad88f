"""Refuse wrong parameters before any work starts.

In: params.yaml. Out: `data/checked.txt`, whose content never changes, so that a right change of params.yaml
reruns only the stages that use what changed.
"""

import os
from pathlib import Path

from pipeline import datasets
from pipeline.base.errors import Problem, run_stage
from pipeline.base.files import write_text
from pipeline.base.params import Study, read_params
from pipeline.models.encoders import PLAIN, check_encoder

SEVERAL_RUNS = {"pannuke"}  # the studies of which dvc.yaml trains several runs,
SEVERAL_SEEDS = {"tnbc"}  # and several seeds
DETECTORS = ("resnet50", "resnet101", "resnet152")  # the encoders of which models.mask_rcnn builds a detector


def main() -> None:
    params = read_params()
    check_encoder(params.encoder)
    for dataset, settings in params.datasets.items():
        check_source(dataset, settings.source)
        if settings.tiling is not None and not datasets.load_card(dataset).slides:
            raise Problem(f"params.yaml: datasets.{dataset}.tiling is for data sets of slides; remove it.")
    for name, study in params.studies().items():
        check_study(name, study)
    write_text(Path("data/checked.txt"), "params.yaml was read, and every value in it is allowed.\n")


def check_source(name: str, source: str) -> None:
    """Refuse a source that is neither a known word nor a folder that exists, outside of what stages write."""
    if source in {"sample", "official"}:
        return
    folder = _expand(source).resolve()
    if not folder.is_dir():
        raise Problem(
            f"params.yaml: datasets.{name}.source is {source!r}, which is no folder; give sample, official or a folder."
        )
    if folder.is_relative_to(Path("data/raw").resolve()):
        raise Problem(
            f"params.yaml: datasets.{name}.source is {source!r}, which a stage writes and DVC would delete first;"
            " move your files to a folder outside of data/raw."
        )


def check_study(name: str, study: Study) -> None:
    """Refuse runs and seeds that nothing trains, classes and groups that the study's data sets do not have."""
    if name not in SEVERAL_RUNS and study.runs.numbers != [1]:
        raise Problem(f"params.yaml: {name}.runs has {study.runs.numbers}, but this study has run 1 alone; give that.")
    if name not in SEVERAL_SEEDS and study.seeds is not None:
        raise Problem(f"params.yaml: {name}.seeds is given, but this study trains with the seed alone; remove it.")
    if study.detector is not None and study.plan != "augmented":
        raise Problem(
            f"params.yaml: {name}.plan is {study.plan}, but detectors train on the augmented plan; remove it."
        )
    for dataset in study.datasets:
        card = datasets.load_card(dataset)
        if study.target is not None and study.target not in card.classes[1:]:
            raise Problem(
                f"params.yaml: {name}.target is {study.target!r}, which {card.title} does not have;"
                f" give one of {', '.join(card.classes[1:])}."
            )
        if study.target is None and tuple(study.classes) != card.classes:
            raise Problem(
                f"params.yaml: {name}.classes is {study.classes}, but {card.title} has"
                f" {list(card.classes)}; give these, in this order."
            )
        if study.tissue is not None and study.tissue not in card.groups:
            raise Problem(
                f"params.yaml: {name}.tissue is {study.tissue!r}, which {card.title} does not have;"
                f" give one of {', '.join(card.groups)}."
            )
    starting = study.classifier.variants if study.classifier else []
    if study.classifier:
        check_encoder(study.classifier.encoder)
    for variant in [*study.compare, *starting, *study.variants, *([study.ablation] if study.ablation else [])]:
        encoder, changed = study.of(variant)
        check_encoder(encoder)
        if changed.detector is not None and encoder not in DETECTORS:
            raise Problem(
                f"params.yaml: {name} names the encoder {encoder!r} for {variant}, of which no detector can be built;"
                f" give one of {', '.join(DETECTORS)}."
            )
        check_weights(name, changed.model.weights)
        if encoder in PLAIN and changed.model.freeze_encoder:
            raise Problem(
                f"params.yaml: {name} freezes the encoder of {variant}, which has none; remove freeze_encoder."
            )
    check_weights(name, study.model.weights)


def check_weights(study: str, weights: str) -> None:
    """Refuse first weights that are neither a known word nor a file; what a stage writes may not be there yet."""
    if weights in {"random", "imagenet"} or weights.startswith("models/"):
        return
    if not _expand(weights).is_file():
        raise Problem(
            f"params.yaml: {study}.model.weights is {weights!r}, which is no file;"
            " give random, imagenet or the path of a checkpoint."
        )


def _expand(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser fails where ~ names an unknown user


if __name__ == "__main__":
    run_stage(main)
