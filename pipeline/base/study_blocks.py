"""The blocks of a study's params.yaml: how its tiles are split, balanced and augmented, its model, training, report."""

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline.base.schema import Block, Fraction, Positive, Weight

NONE = BeforeValidator(lambda value: None if value == "none" else value)  # YAML's null would vanish when DVC writes it
# fmt: off
Transform = Literal[
    "rotate45", "rotate90", "rotate180", "rotate270", "flip_horizontal", "flip_vertical", "enlarge", "shrink", "redder",
    "bluer",
]
# fmt: on


class Split(Block):
    """How tiles are dealt out to training, validation and test."""

    by: Literal["official", "random", "group", "tile", "image", "stratified", "block", "dataset"]
    fractions: list[Fraction] = Field(min_length=3, max_length=3)

    @model_validator(mode="after")
    def fractions_are_a_whole(self) -> "Split":
        if abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(f"must add up to 1, not {sum(self.fractions):g} (train, validation, test)")
        return self

    @property
    def leaky(self) -> bool:
        """Whether patients and slides may be on two sides, because the paper has it so or there is one slide alone."""
        return self.by in ("tile", "image", "block")


class Balance(Block):
    """How often training tiles with what is rare stand in a plan."""

    method: Literal["none", "oversample", "undersample"]
    max_copies: Positive
    lesion_free: Weight = 3


class Online(Block):
    """What training draws anew in every epoch."""

    crop: int = Field(ge=32, le=2048, multiple_of=32)
    crops: Positive
    scale: Fraction
    flips: bool
    turns: bool
    stain: Fraction
    colour: Fraction


class Augment(Block):
    """Which transformed copies the augmented plan has; `online` where training varies them further."""

    factor: Positive | dict[str, Annotated[float, Field(ge=1)]]
    original: bool
    probability: Fraction = 1
    transforms: list[Transform]
    online: Annotated[Online | None, NONE]

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


class Instances(Block):
    """How nuclei are found in a class map."""

    method: Literal["watershed", "components"]
    minimum_size: int = Field(ge=0)


class Loss(Block):
    """Weights of the terms of a segmentation's loss."""

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
    """The training loop, whatever is trained."""

    epochs: Positive
    patience: Annotated[Positive | None, NONE]
    batch: Positive
    optimiser: Literal["adam", "adamw"]
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: Weight
    schedule: Literal["constant", "cosine"]
    precision: Literal["auto", "float32"]
    workers: int = Field(ge=0, le=256)


class PixelTrain(Train):
    """The training loop of what sorts pixels."""

    loss: Loss
    class_weights: Literal["none", "balanced"] | list[Weight]


class UNetModel(Block):
    """A U-Net and its first weights."""

    weights: str = Field(min_length=1)
    freeze_encoder: bool
    head: Literal[1, 3]
    width: int = Field(gt=0, le=256)
    decoder_channels: list[Positive] = Field(min_length=3, max_length=5)


class DetectorModel(Block):
    """A Mask R-CNN and its first weights: what its shape and its training need."""

    weights: str = Field(min_length=1)
    width: int = Field(gt=0, le=256)
    channels: Positive
    anchors: list[Positive] = Field(min_length=5, max_length=5)
    anchor_iou: list[Fraction] = Field(min_length=2, max_length=2)
    proposals: Positive
    sampled: Positive
    nuclei: Fraction
    nms: Fraction

    @model_validator(mode="after")
    def background_below_nucleus(self) -> "DetectorModel":
        if self.anchor_iou[0] > self.anchor_iou[1]:
            raise ValueError(f"has anchor_iou {self.anchor_iou}; give the threshold of the background first")
        return self


class PixelPredict(Block):
    """How class maps are predicted, and of which sides of the split."""

    splits: list[Literal["train", "test"]]
    batch: Positive
    probabilities: bool
    flips: bool
    speed_batches: list[Positive] = Field(min_length=1)


class DetectorPredict(Block):
    """Which detections are kept."""

    batch: Positive
    score: Fraction
    detections: Positive


class Report(Block):
    """What the report shows."""

    min_count: int = Field(ge=0)
    examples: Positive
    publish_pictures: bool
