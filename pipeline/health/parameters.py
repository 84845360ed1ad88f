"""What parameters must be beside what their schema says: encoders, data sets, classes and weights that there are."""

from pipeline import datasets
from pipeline.base.errors import Problem
from pipeline.base.params import own_folder, read_params
from pipeline.base.paths import expand
from pipeline.base.schema import parse
from pipeline.base.study import ENCODER, AnyStudy, Study, variant
from pipeline.models.encoders import DETECTORS, PLAIN, check_encoder


def check_project() -> None:
    """Refuse an unknown encoder or data set, a source that is not there, and wrong settings of a drawn sample."""
    params = read_params()
    check_encoder(params.encoder)
    for name, settings in params.datasets.items():
        card = datasets.load_card(name)
        if name in params.own and name in datasets.names():
            raise Problem(f"params.yaml: {name} stands under own and is the name of {card.title}; give yours another.")
        if name in params.own and settings.source in ("sample", "official"):
            raise Problem(f"params.yaml: datasets.{name}.source is {settings.source!r}; give the folder of your data.")
        own_folder(name, settings.source)
        if settings.tiling is not None and not card.slides:
            raise Problem(f"params.yaml: datasets.{name}.tiling is for data sets of slides; remove it.")
    unknown = [name for name in params.sample if name != "seed" and name not in params.datasets]
    if unknown:
        raise Problem(f"params.yaml: sample.{unknown[0]} is of no data set under datasets; remove it or add that.")
    for name in (name for name in params.datasets if name not in params.own):
        parse(datasets.load_card(name).sample, params.sample.get(name, {}), f"params.yaml: sample.{name}")


def check_study(study: AnyStudy) -> None:
    """Refuse classes and groups that the study's data sets do not have, and models that cannot be built."""
    where = f"studies/{study.study}/params.yaml"
    if study.task == "detection" and study.plans != ["augmented"]:
        raise Problem(f"{where}: plans is {study.plans}, but detectors train on the augmented plan; give [augmented].")
    check_names(study, where)
    for name in study.datasets:
        check_dataset(study, name, where)
    check_readers(study, where)
    for name in [*study.compare, *study.started, *study.classifiers, *study.ablation, *study.variants]:
        if name != ENCODER:
            check_variant(study, name, where)


def check_names(study: Study, where: str) -> None:
    """Refuse what dvc.yaml cannot name: it takes `variants.<name>` for each row but those of the top-level encoder."""
    for name in study.variants:
        if "." in name:
            raise Problem(f"{where}: variants.{name} has a dot, which DVC takes for a level; give it a name without.")
    for name in [] if ENCODER in study.compare else [*study.compare, *study.ablation]:
        if name not in study.variants:
            raise Problem(
                f"{where}: {name} is compared and not under variants; add `{name}: {{encoder: {name}}}` there."
            )
    for name in [*study.started, *study.classifiers]:
        if name not in study.variants:
            raise Problem(f"{where}: {name} is to be trained and not under variants; say there what it is.")


def check_readers(study: Study, where: str) -> None:
    """Refuse readers that are not those of the data sets; dvc.yaml names their code by them."""
    own = read_params().own
    readers: list[str] = [own.get(name, name) for name in study.datasets]
    if study.readers != readers and not (len(set(readers)) == 1 and study.readers == readers[:1]):
        raise Problem(f"{where}: readers is {study.readers}, but the data sets have {readers}; give these.")


def check_dataset(study: Study, name: str, where: str) -> None:
    """Refuse what a data set does not have."""
    card = datasets.load_card(name)
    if study.target is not None and study.target not in card.classes[1:]:
        raise Problem(
            f"{where}: target is {study.target!r}, which {card.title} does not have;"
            f" give one of {', '.join(card.classes[1:])}."
        )
    if study.target is None and tuple(study.classes) != card.classes:
        raise Problem(
            f"{where}: classes is {study.classes}, but {card.title} has {list(card.classes)};"
            " give these, in this order."
        )
    if study.group != "all" and study.group not in card.groups:
        raise Problem(
            f"{where}: group is {study.group!r}, which {card.title} does not have;"
            f" give all or one of {', '.join(filter(None, card.groups))}."
        )


def check_variant(study: Study, name: str, where: str) -> None:
    """Refuse an encoder or first weights of which the model cannot be built."""
    encoder, changed = variant(study, name)
    check_encoder(encoder, where)
    if changed.task == "detection" and encoder not in DETECTORS:
        raise Problem(
            f"{where}: {name} has the encoder {encoder!r}, of which no detector can be built;"
            f" give one of {', '.join(DETECTORS)}."
        )
    if name in study.classifiers and changed.task != "tiles":
        raise Problem(f"{where}: {name} stands under classifiers, but its task is {changed.task}; give it task: tiles.")
    if changed.task != "detection" and encoder in PLAIN and changed.model.freeze_encoder:
        raise Problem(f"{where}: {name} freezes its encoder and has none; remove freeze_encoder.")
    weights = changed.model.weights
    if weights in {"random", "imagenet"} or weights.startswith("models/"):
        return  # what a stage writes may not be there yet
    if not expand(weights).is_file():
        raise Problem(
            f"{where}: the model.weights of {name} is {weights!r}, which is no file;"
            " give random, imagenet or the path of a checkpoint."
        )
