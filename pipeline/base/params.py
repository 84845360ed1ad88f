"""params.yaml as typed, checked objects: an unknown key, a wrong type or a value out of range is refused."""

import difflib
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.base.errors import Problem

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
# fmt: off
Transform = Literal[
    "rotate45", "rotate90", "rotate180", "rotate270", "flip_horizontal", "flip_vertical", "enlarge", "shrink", "redder",
    "bluer",
]
# fmt: on


class Block(BaseModel):
    """A block of params.yaml: typed, closed to unknown keys, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Tiling(Block):
    """How slides are cut into tiles; what is not given is the paper's."""

    tile_size: int = Field(default=512, ge=32, le=4096)
    stride: Positive = 512
    microns_per_pixel: float | None = Field(default=0.25, gt=0)
    slide_microns_per_pixel: float | None = Field(default=None, gt=0)
    background: Weight = 12.5
    lesion_free: Weight = 3
    at_least: int = Field(default=0, ge=0)
    seed: int = Field(default=42, ge=0)
    slides: list[str | int] = []


class Dataset(Block):
    source: str = Field(min_length=1)
    tiling: Tiling | None = None

    @property
    def is_sample(self) -> bool:
        return self.source == "sample"


class PanNukeSample(Block):
    tile_size: int = Field(ge=64, le=256)
    tiles_per_fold: int = Field(ge=4)
    breast_share: Fraction


class TnbcSample(Block):
    tile_size: int = Field(ge=64, le=512)
    share: Fraction


class MonusegSample(Block):
    tile_size: int = Field(ge=128, le=1000)
    images: int = Field(ge=1, le=30)


class BcssSample(Block):
    height: int = Field(ge=224, le=8000)
    regions: int = Field(ge=3, le=12)


class BachSample(Block):
    width: int = Field(ge=128, le=2048, multiple_of=4)
    images: int = Field(ge=2, le=100)


class BracsSample(Block):
    size: int = Field(ge=1024, le=8192, multiple_of=512)


class Sample(Block):
    seed: int = Field(ge=0)
    pannuke: PanNukeSample
    tnbc: TnbcSample
    monuseg: MonusegSample
    bracs: BracsSample
    bcss: BcssSample
    bach: BachSample


class Split(Block):
    by: Literal["official", "random", "group", "tile", "image", "stratified"]
    fractions: list[Fraction] = Field(min_length=3, max_length=3)

    @model_validator(mode="after")
    def fractions_are_a_whole(self) -> "Split":
        if abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(f"must add up to 1, not {sum(self.fractions):g} (train, validation, test)")
        return self

    @property
    def leaky(self) -> bool:
        """Whether patients and slides may be on two sides of the split, because the paper has it so."""
        return self.by in ("tile", "image")


class Runs(Block):
    first: Literal[1, 2, 3]
    second: Literal[1, 2, 3]
    third: Literal[1, 2, 3]

    @property
    def numbers(self) -> list[int]:
        """The runs, each once."""
        return list(dict.fromkeys([self.first, self.second, self.third]))


class Seeds(Block):
    first: int = Field(ge=0)
    second: int = Field(ge=0)
    third: int = Field(ge=0)

    @property
    def numbers(self) -> list[int]:
        """The seeds, each once."""
        return list(dict.fromkeys([self.first, self.second, self.third]))


class Balance(Block):
    method: Literal["none", "oversample", "undersample"]
    max_copies: Positive
    lesion_free: Weight = 3


class Instances(Block):
    method: Literal["watershed", "components"]
    minimum_size: int = Field(ge=0)


class Online(Block):
    crop: int = Field(ge=32, le=2048, multiple_of=32)
    crops: Positive
    scale: Fraction
    flips: bool
    turns: bool
    stain: Fraction
    colour: Fraction


class Augment(Block):
    factor: Positive | dict[str, Annotated[float, Field(ge=1)]]
    original: bool
    probability: Fraction = 1
    transforms: list[Transform]
    online: Online | None

    @model_validator(mode="after")
    def enough_transforms(self) -> "Augment":
        if len(set(self.transforms)) != len(self.transforms):
            raise ValueError("must not name a transform twice")
        factor = math.ceil(max(self.factor.values())) if isinstance(self.factor, dict) else self.factor
        if factor - self.original > len(self.transforms):
            raise ValueError(
                f"has {len(self.transforms)} transforms, too few for a factor of {factor} without repetition"
            )
        return self


class Model(Block):
    weights: str = Field(min_length=1)
    freeze_encoder: bool = False
    head: Literal[1, 3] = 1
    width: int = Field(gt=0, le=256)
    decoder_channels: list[Positive] = Field(min_length=3, max_length=5)


class Detector(Block):
    channels: Positive
    anchors: list[Positive] = Field(min_length=5, max_length=5)
    anchor_iou: list[Fraction] = Field(min_length=2, max_length=2)
    proposals: Positive
    sampled: Positive
    nuclei: Fraction
    nms: Fraction
    score: Fraction
    detections: Positive

    @model_validator(mode="after")
    def background_below_nucleus(self) -> "Detector":
        if self.anchor_iou[0] > self.anchor_iou[1]:
            raise ValueError(f"has anchor_iou {self.anchor_iou}; give the threshold of the background first")
        return self


class Loss(Block):
    cross_entropy: Weight
    dice: Weight
    focal: Weight
    smooth: float = Field(gt=0)
    dice_background: bool

    @model_validator(mode="after")
    def some_term(self) -> "Loss":
        if self.cross_entropy + self.dice + self.focal == 0:
            raise ValueError("must give at least one term a weight above 0")
        return self


class Train(Block):
    epochs: Positive
    patience: Positive | None
    batch: Positive
    optimiser: Literal["adam", "adamw"]
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: Weight
    schedule: Literal["constant", "cosine"]
    loss: Loss
    class_weights: Literal["none", "balanced"] | list[Weight]
    precision: Literal["auto", "float32"]
    workers: int = Field(ge=0, le=256)


class Classifier(Block):
    """A classifier of tiles, with or without the target; its weights start the encoder of `variants`."""

    encoder: str
    variants: list[str]
    epochs: Positive
    batch: Positive
    learning_rate: float = Field(gt=0, le=1)


class Predict(Block):
    splits: list[Literal["train", "test"]] = ["test"]
    batch: Positive
    probabilities: bool
    flips: bool
    speed_batches: list[Positive] = Field(min_length=1)


class Report(Block):
    min_count: int = Field(ge=0)
    examples: Positive
    publish_pictures: bool


class Study(Block):
    """One paper's protocol."""

    datasets: list[str] = Field(min_length=1)
    plan: Literal["plain", "augmented"] = "augmented"
    compare: list[str] = []
    variants: dict[str, dict[str, Any]] = {}
    runs: Runs
    seeds: Seeds | None = None
    tissue: str | None
    target: str | None = None
    classes: list[str] = Field(min_length=2)
    ignore: list[str] = []
    greyscale: bool = False
    tile_size: int = Field(ge=32, le=2048, multiple_of=32)
    split: Split
    balance: Balance
    augment: Augment
    ablation: str | None
    instances: Instances | None
    model: Model
    detector: Detector | None = None
    train: Train
    classifier: Classifier | None = None
    predict: Predict
    report: Report

    @model_validator(mode="after")
    def a_target_is_the_only_class(self) -> "Study":
        if self.target is not None and self.classes[1:] != [self.target]:
            raise ValueError(f"has the target {self.target!r} and the classes {self.classes}; give background and it")
        if self.target is None and self.balance.method == "undersample":
            raise ValueError("undersamples tiles without a target and names none; give it one")
        if self.target is None and self.classifier is not None:
            raise ValueError("classifies tiles without a target; give it one, or remove the classifier")
        if self.target is not None and not self.predict.probabilities:
            raise ValueError("has a target and predict.probabilities false; average precision needs them")
        return self

    @model_validator(mode="after")
    def a_weight_for_each_class(self) -> "Study":
        weights = self.train.class_weights
        if isinstance(weights, list) and len(weights) != len(self.classes):
            raise ValueError(
                f"has {len(weights)} values in train.class_weights for {len(self.classes)} classes; give one a class"
            )
        return self

    @model_validator(mode="after")
    def ignored_classes_are_classes(self) -> "Study":
        unknown = [name for name in self.ignore if name not in self.classes]
        if unknown:
            raise ValueError(f"ignores {unknown[0]!r}, which is none of its classes; correct its name or remove it")
        return self

    @property
    def ignored(self) -> tuple[int, ...]:
        """Codes of the classes whose pixels count in no loss and no metric."""
        return tuple(self.classes.index(name) for name in self.ignore)

    @model_validator(mode="after")
    def variants_are_studies(self) -> "Study":
        for name in self.variants:
            try:
                self.of(name)
            except KeyError:
                raise ValueError(f"names no encoder in variants.{name}; give it one") from None
            except ValidationError as error:
                found = _sentence(error.errors()[0], f"variants.{name}").rstrip(".")
                raise ValueError(f"has a wrong variant: {found}") from None
        return self

    def of(self, name: str) -> tuple[str, "Study"]:
        """The encoder of a variant, and the study with what the variant changes; a plain encoder changes nothing."""
        if name not in self.variants:
            return name, self
        changes = dict(self.variants[name])
        encoder = changes.pop("encoder")
        own = self.model_dump() | {"compare": [], "variants": {}}
        return encoder, Study.model_validate(_changed(own, changes))


def _changed(block: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A block with changes put into it, deep down; lists are replaced as a whole."""
    nested = {
        key: _changed(block[key], value)
        for key, value in changes.items()
        if isinstance(value, dict) and isinstance(block.get(key), dict)
    }
    return block | changes | nested


class Params(Block):
    encoder: str
    seed: int = Field(ge=0)
    datasets: dict[Literal["pannuke", "tnbc", "monuseg", "bracs", "bcss", "bach"], Dataset]
    sample: Sample
    pannuke: Study
    tnbc: Study
    bracs: Study
    bcss: Study
    bach: Study

    @model_validator(mode="after")
    def datasets_of_studies_are_listed(self) -> "Params":
        for name, study in self.studies().items():
            for dataset in study.datasets:
                if dataset not in self.datasets:
                    raise ValueError(f"names the data set {dataset!r} in {name}.datasets; list it under datasets, too")
        return self

    def studies(self) -> dict[str, Study]:
        """All studies, by name."""
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Study)}

    def study(self, name: str) -> Study:
        """The block of one study."""
        if name not in self.studies():
            raise Problem(f"params.yaml has no study named {name!r}; it has {', '.join(self.studies())}.")
        return self.studies()[name]

    def seeds(self, study: str) -> list[int]:
        """The seeds with which each variant of a study is trained; plans follow from the top-level `seed` alone."""
        own = self.study(study).seeds
        return own.numbers if own else [self.seed]


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises:
        Problem: the file is missing, is no YAML, or holds a key, type or value that is not allowed.
    """
    try:
        raw = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path} is missing; run this from the folder that holds dvc.yaml.") from None
    except YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise Problem(f"{path} is not valid YAML{line}: {getattr(error, 'problem', error)}.") from None
    return parse_params(raw, str(path))


def parse_params(raw: Any, name: str = "params.yaml") -> Params:
    """Check the content of params.yaml, already parsed from YAML.

    Raises:
        Problem: one sentence for each thing that is wrong.
    """
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        sentences = [_sentence(details, name) for details in error.errors()]
        raise Problem("\n        ".join(dict.fromkeys(sentences))) from None


def _sentence(error: Any, name: str) -> str:
    """Say one pydantic error as a sentence that names the key, the value and the cure."""
    place = list(error["loc"])
    if error["type"] not in {"extra_forbidden", "missing"}:
        # Where a value may be of several types, pydantic names the tried type last; a person knows keys only.
        place = [part for part in place if not str(part).startswith(("list[", "literal[", "dict[", "constrained-"))]
    key = ".".join(str(part) for part in place) or "the file"
    match error["type"]:
        case "extra_forbidden":
            return f"{name}: {key} is not a known key{_suggestion(place)}; remove it or correct its name."
        case "missing":
            return f"{name}: {key} is missing; add it."
        case "value_error":
            return f"{name}: {key} {error['ctx']['error']}."
        case _:
            message = error["msg"].removeprefix("Input ")
            return f"{name}: {key} is {error['input']!r} but {message[0].lower()}{message[1:]}."


def _suggestion(place: list[Any]) -> str:
    """The nearest known key beside an unknown one, as ' (did you mean ...?)', or nothing."""
    block: Any = Params
    for part in place[:-1]:
        field = getattr(block, "model_fields", {}).get(part)
        block = field.annotation if field else None
    near = difflib.get_close_matches(str(place[-1]), getattr(block, "model_fields", {}), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
