"""studies/<name>/params.yaml: one study's protocol, typed and checked.

Its keys have no default: what a stage reads stands in the file, so that dvc.yaml can name it.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from pipeline.base.errors import Problem
from pipeline.base.schema import ALPHABET, NAME, Block, Name, parse, read_yaml, sentence, shown
from pipeline.base.study_blocks import (
    NONE,
    Augment,
    Balance,
    DetectorModel,
    DetectorPredict,
    Instances,
    PixelPredict,
    PixelTrain,
    Report,
    Split,
    Train,
    UNetModel,
)

STUDIES = Path("studies")
ENCODER = "encoder"  # among what is compared: the top-level encoder of the project's params.yaml
VARIES = ("encoder", "task", "ignore", "greyscale", "tile_size", "augment", "instances", "model", "train", "predict")


class Study(Block):
    """One question: what holds whatever the task is."""

    study: Name
    datasets: list[Name] = Field(min_length=1, max_length=2)  # dvc.yaml names the first and the last
    readers: list[Name] = Field(min_length=1, max_length=2)  # of each: its name, or the kind of your own data
    group: Name
    target: Annotated[str | None, NONE]
    classes: list[Name] = Field(min_length=2)
    ignore: list[Name]
    greyscale: bool
    tile_size: int = Field(ge=32, le=2048, multiple_of=32)
    runs: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    compare: list[Name] = Field(min_length=1)
    plans: list[Literal["plain", "augmented", "balanced"]] = Field(min_length=1)
    ablation: list[Name]
    classifiers: list[Name]
    started: list[Name]
    variants: dict[Name, dict[str, Any]]
    split: Split
    balance: Balance
    augment: Augment
    report: Report

    @model_validator(mode="after")
    def a_target_is_the_only_class(self) -> "Study":
        if self.target is not None and self.classes[1:] != [self.target]:
            raise ValueError(f"has the target {self.target!r} and the classes {self.classes}; give background and it")
        if self.target is None and self.balance.method == "undersample":
            raise ValueError("undersamples tiles without a target and names none; give it one")
        if self.target is None and self.classifiers:
            raise ValueError("classifies tiles without a target; give it one, or empty the list classifiers")
        if self.started and not self.classifiers:
            raise ValueError(f"has {self.started[0]} start from a classifier and names none under classifiers")
        return self

    @model_validator(mode="after")
    def another_data_set_tests(self) -> "Study":
        if self.split.by == "dataset" and len(self.datasets) < 2:
            raise ValueError("splits by dataset and has one; name the one to test on last under datasets")
        return self

    @model_validator(mode="after")
    def named_classes_are_classes(self) -> "Study":
        factors = self.augment.factor if isinstance(self.augment.factor, dict) else {}
        for verb, names in (("ignores", self.ignore), ("has an augment.factor for", factors)):
            unknown = [name for name in names if name not in self.classes]
            if unknown:
                raise ValueError(f"{verb} {unknown[0]!r}, which is none of its classes; correct its name or remove it")
        return self

    @model_validator(mode="after")
    def names_come_once(self) -> "Study":
        for key in ("runs", "seeds", "compare", "plans", "ablation", "classifiers", "started", "datasets", "classes"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"names {next(v for v in values if values.count(v) > 1)} twice in {key}")
        return self

    @model_validator(mode="after")
    def variants_are_studies(self) -> "Study":
        for name in self.variants:
            try:
                encoder, _ = variant(self, name)
            except KeyError:
                raise ValueError(f"names no encoder in variants.{name}; give it one") from None
            except ValidationError as error:
                found = sentence(error.errors()[0], f"variants.{name}", type(self)).rstrip(".")
                raise ValueError(f"has a wrong variant: {found}") from None
            if not isinstance(encoder, str) or not NAME.fullmatch(encoder):
                raise ValueError(f"has a wrong encoder in variants.{name}, {shown(encoder)}; give it the name of one")
            shared = [key for key in self.variants[name] if key not in VARIES]
            if shared:
                raise ValueError(f"changes {shared[0]} in variants.{name}, which all variants share; remove it there")
        return self

    @property
    def ignored(self) -> tuple[int, ...]:
        """Codes of the classes whose pixels count in no loss and no metric."""
        return tuple(self.classes.index(name) for name in self.ignore)

    @property
    def ablation_plan(self) -> str:
        """The plan on which the variants of `ablation` are trained, too."""
        return "balanced" if "plain" in self.plans else "plain"

    def trained(self, encoder: str | None) -> list[tuple[str, str]]:
        """Every variant that the study trains and compares, with its plan, in the order of its tables.

        `encoder` is the project's top-level one, which stands where `compare` says so; None where it does not.
        """
        names = dict.fromkeys((encoder or name) if name == ENCODER else name for name in [*self.compare, *self.started])
        return [
            (name, plan)
            for name in names
            for plan in [*self.plans, *([self.ablation_plan] if name in self.ablation else [])]
        ]


class PixelStudy(Study):
    """A study whose models give every pixel a class, or, in a variant of task `tiles`, every tile."""

    task: Literal["segmentation", "tiles"]
    baselines: list[Literal["background", "otsu", "commonest"]]
    instances: Annotated[Instances | None, NONE]
    model: UNetModel
    train: PixelTrain
    predict: PixelPredict

    @model_validator(mode="after")
    def a_weight_for_each_class(self) -> "PixelStudy":
        weights = self.train.class_weights
        if isinstance(weights, list) and len(weights) != len(self.classes):
            raise ValueError(
                f"has {len(weights)} values in train.class_weights for {len(self.classes)} classes; give one a class"
            )
        if self.target is not None and not self.predict.probabilities:
            raise ValueError("has a target and predict.probabilities false; average precision needs them")
        return self


class DetectionStudy(Study):
    """A study whose models find nuclei as objects, which vote on their image's class."""

    task: Literal["detection"]
    baselines: list[Literal["constant", "colour"]]
    instances: Literal["network"]  # the model itself tells nuclei apart
    model: DetectorModel
    train: Train
    predict: DetectorPredict


AnyStudy = PixelStudy | DetectionStudy
KINDS: dict[str, type[AnyStudy]] = {"segmentation": PixelStudy, "detection": DetectionStudy}


def study_names(root: Path = Path()) -> list[str]:
    """The studies of the project: the folders under studies/ that hold a params.yaml, by name."""
    return sorted(path.parent.name for path in (root / STUDIES).glob("*/params.yaml"))


def read_study(name: str, root: Path = Path()) -> AnyStudy:
    """Read and check a study's params.yaml.

    Raises:
        Problem: there is no such study, or its file holds a key, type or value that is not allowed.
    """
    if name not in study_names(root):
        raise Problem(
            f"there is no study {shown(name)} under {root / STUDIES}; it holds {', '.join(study_names(root))}."
        )
    path = root / STUDIES / name / "params.yaml"
    return parse_study(read_yaml(path), path)


def parse_study(raw: Any, path: Path) -> AnyStudy:
    """Check what a study's params.yaml at `path` holds, already parsed from YAML.

    Raises:
        Problem: one sentence for each key, type or value that is not allowed.
    """
    task = raw.get("task") if isinstance(raw, dict) else None
    if not isinstance(task, str) or task not in KINDS:
        raise Problem(f"{path}: task is {shown(task)}; give one of {', '.join(KINDS)}.")
    if "study" in raw:
        raise Problem(f"{path}: study is a key, but a study's name is that of its folder; remove it.")
    if not NAME.fullmatch(path.parent.name):
        raise Problem(f"{path.parent.as_posix()!r} is no name of a study; rename the folder: {ALPHABET}.")
    return parse(KINDS[task], {"study": path.parent.name, **raw}, str(path))


def variant(study: Study, name: str) -> tuple[str, AnyStudy]:
    """The encoder of a variant, and the study with what the variant changes; a plain encoder changes nothing.

    Raises:
        KeyError: the variant names no encoder.
        ValidationError: what it changes is not allowed.
    """
    changes = dict(study.variants.get(name, {"encoder": name}))
    encoder = changes.pop("encoder")
    changed = _changed(study.model_dump() | {"variants": {}}, changes)
    kind = DetectionStudy if changed["task"] == "detection" else PixelStudy
    return encoder, kind.model_validate(changed)


def _changed(block: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A block with changes put into it, deep down; lists are replaced as a whole."""
    nested = {
        key: _changed(block[key], value)
        for key, value in changes.items()
        if isinstance(value, dict) and isinstance(block.get(key), dict)
    }
    return block | changes | nested
