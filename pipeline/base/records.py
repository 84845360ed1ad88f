"""The JSON files between stages, each a model with a format number.

A reader refuses a file of another format in one sentence, so that nothing is taken for what it is not.
"""

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.base.errors import Problem
from pipeline.base.files import write_text

Scores = dict[str, Any]  # scores by name, nested by kind and class; None where a score is not defined


class Record(BaseModel):
    """A JSON file that one stage writes and others read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            Problem: the file is missing, broken or of another version.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Problem(f"{path} is missing; run `dvc repro` so that it is written.") from None
        except OSError as error:
            raise Problem(f"{path} cannot be read ({error.strerror}); run `dvc repro` again.") from None
        except (ValidationError, UnicodeDecodeError) as error:
            said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise Problem(
                f"{path} is broken or of another version of Lobule ({said}); run `dvc repro` again."
            ) from None

    def write(self, path: Path) -> None:
        """Write indented JSON with a line end, whole or not at all."""
        write_text(path, json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")


class SourceFile(BaseModel):
    """A file of a data set."""

    name: str  # relative to the folder
    bytes: int
    sha256: str


class Source(Record):
    """SOURCE.json of data/raw/<dataset>: where the files lie, and under which licence."""

    dataset: str
    source: str  # sample, official or a folder
    folder: str
    licence: str
    licence_url: str
    citation: str
    files: list[SourceFile]
    sha256: str  # of all files' names and checksums


class TileName(BaseModel):
    """What names a tile in the store."""

    dataset: str
    shard: str
    index: int


class NearDuplicate(BaseModel):
    """Two tiles on two sides of the split that look alike."""

    distance: int  # bits of 64 in which their hashes differ
    tiles: dict[str, TileName]  # side of the split -> tile


class Leaks(Record):
    """leaks.json: what `guard` found in a split."""

    tiles: dict[str, int]  # on each side
    distance: int
    near_duplicates: list[NearDuplicate]
    leaks: dict[str, int]  # what is on two sides, where the split is one that leaks; else empty


class Model(Record):
    """model.json beside the weights: how to build the model, how to feed it, under which licence it is."""

    task: str
    encoder: str
    classes: list[str]
    tile_size: int  # px of the shorter side of what the model sees
    microns_per_pixel: float  # of what the model sees
    greyscale: bool
    target: str | None
    shape: dict[str, Any]  # what else its task needs to build it
    weights: str  # the first ones: random, imagenet or a path
    mean: list[float]
    std: list[float]
    licence: str
    datasets: list[str]
    sample: bool  # whether it was trained on drawn tiles


class TrainingMachine(BaseModel):
    """On what a training ran; nothing else in training.json depends on it."""

    seconds: float
    device: str
    precision: str
    threads: int
    torch: str
    python: str
    platform: str


class Training(Record):
    """training.json: what was trained, on how much, for how long."""

    study: str
    run: int
    seed: int
    variant: str
    plan: str
    title: str  # of its MLflow run
    weights: str  # the first ones: random, imagenet or a path
    examples: dict[str, int]  # side of the split -> rows of the plan
    epochs_run: int
    best_epoch: int
    stopped_early: bool
    parameters: int
    trainable_parameters: int
    weights_sha256: str
    store_sha256: dict[str, str]  # data set -> checksum of its source
    machine: TrainingMachine


class Speed(Record):
    """speed.json: how fast a model predicts on this machine."""

    device: str
    parameters: int
    flops_per_image: int | None
    images_per_second: dict[str, float]  # size of a batch -> rate
    best_batch: str
    images: int
    seconds: float


class Metrics(Record):
    """metrics.json: every score of one run and seed of a variant; nothing in it depends on the machine."""

    variant: str
    plan: str
    run: int
    seed: int
    title: str | None = None  # of the training's MLflow run; it and what follows is None for a baseline
    weights: str | None
    parameters: int | None
    trainable_parameters: int | None
    flops_per_image: int | None
    epochs_run: int | None
    best_epoch: int | None
    weights_sha256: str | None
    scores: Scores


class Machine(Record):
    """machine.json: on what a variant was trained and how fast it predicts; None for a baseline."""

    training: TrainingMachine | None
    speed: Speed | None
