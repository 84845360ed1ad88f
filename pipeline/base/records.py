"""The JSON files between stages, each a model with a format number.

A reader refuses a file of another format in one sentence, so that nothing is taken for what it is not. The last key of
each is a checksum of the others; a file that a person wrote needs none.
"""

import json
import zlib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from pipeline.base.errors import Problem, machine_problem
from pipeline.base.files import write_text

Scores = dict[str, Any]  # scores by name, nested by kind and class; None where a score is not defined


SEAL = "crc32"  # the last key of a record


class Record(BaseModel):
    """A JSON file that one stage writes and others read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = 1  # raised by a record whose fields change

    @field_validator("format")
    @classmethod
    def _is_own(cls, value: int) -> int:
        if value != cls.model_fields["format"].default:
            raise ValueError(f"its format is {value}")
        return value

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            Problem: the file is missing, broken or of another version.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            seal = content.pop(SEAL, None) if isinstance(content, dict) else None
            record = cls.model_validate_json(json.dumps(content))
        except FileNotFoundError:
            raise Problem(f"{path} is missing; run `dvc repro` so that it is written.") from None
        except OSError as error:
            said = f"{path} cannot be read ({error.strerror}); run `dvc repro` again."
            raise (machine_problem(path, error) or Problem(said)) from None
        except (ValidationError, ValueError, RecursionError) as error:
            said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise Problem(
                f"{path} is broken or of another version of Lobule ({said}); run `dvc repro` again."
            ) from None
        if seal is not None and seal != _crc(content):
            raise Problem(f"{path} is damaged; `lobule doctor` says what to remove, then `dvc repro` makes it again.")
        return record

    def write(self, path: Path) -> None:
        """Write indented JSON with a line end, whole or not at all."""
        content = self.model_dump(mode="json")
        write_text(path, json.dumps({**content, SEAL: _crc(content)}, indent=2, ensure_ascii=False) + "\n")


def _crc(content: Any) -> str:
    return f"{zlib.crc32(json.dumps(content).encode()):08x}"


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


class NearDuplicates(BaseModel):
    """A group of tiles that look alike, directly or through others, on two sides of the split or three."""

    distance: int  # bits of 64 in which the hashes of the nearest two on two sides differ
    nearest: dict[str, TileName]  # side of the split -> tile: those two
    tiles: dict[str, int]  # side of the split -> how many of the group


class Known(BaseModel):
    """Of how many tiles of a data set it is known whose they are."""

    tiles: int
    patient: int  # of these the patient is known
    barcode: int  # among them: by a TCGA barcode, which says it across data sets
    slide: int  # of these the slide or image alone


class Leaks(Record):
    """leaks.json: what `guard` found in a split, and what it cannot know."""

    format: int = 2
    tiles: dict[str, int]  # on each side
    known: dict[str, Known]  # data set -> what is known of its tiles
    unknown: list[str]  # what nobody can know of the split for that reason, a sentence each
    textureless: int  # tiles that show nothing, whose likeness is no evidence
    distance: int
    near_duplicates: list[NearDuplicates]  # the nearest groups, not all where they are many
    near_groups: int  # how many there are
    leaks: dict[str, int]  # what is on two sides, where the split is one that leaks; else empty


class Seen(BaseModel):
    """What a training saw of a data set, to learn from or to stop by: nobody tests a model on it."""

    dataset: str
    sha256: str  # of its source
    shards: list[str]
    patients: list[str]  # none where the data set does not tell; of TCGA by their barcodes, too
    sample: bool = False  # whether it was drawn
    tiles: dict[str, str] = {}  # shard -> indices of its tiles, as 0-5,7


class Model(Record):
    """model.json beside the weights: how to build the model, how to feed it, under which licence it is.

    How nuclei are found in its class maps is no part of it: that may change without a training.
    """

    format: int = 2
    study: str
    variant: str  # with its plan
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
    trained_on: list[Seen]  # by it and by its first weights
    first_known: bool = True  # whether a model.json tells what the first weights saw
    sha256: str | None = None  # of model.safetensors; None until it is written


class TrainingMachine(BaseModel):
    """On what a training ran; nothing else in training.json depends on it."""

    seconds: float
    device: str
    processes: int = 1  # each with such a device
    precision: str
    threads: int
    parts: int = 1  # that each batch was learnt in, for want of memory on the GPU
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


class AppliedParameters(BaseModel):
    """What shapes the results of a model on slides, beside the two."""

    tile_size: int
    overlap: int  # px
    background: float  # standard deviation of RGB under which a tile is glass
    flips: bool
    instances: str | None  # how nuclei are found in the class map; None where areas are sought
    minimum_size: int  # of nuclei, px
    score: float | None  # that detections have at least; None of what is no detector
    microns_per_pixel: float | None  # of the slides' full resolution, as given; None: as they tell
    regions: str | None  # SHA-256 of the file of regions
    gzip: bool  # whether outlines are compressed
    points: bool  # whether there is a file of the nuclei's middles, too
    parquet: bool  # whether there is one with a row a nucleus, too
    engine: str  # what the network ran on: torch or onnx

    def shaping(self) -> dict[str, object]:
        """Those that what is found depends on; not which of its forms are written of the outlines, too."""
        return self.model_dump(exclude={"points", "parquet"})


class AppliedSlide(BaseModel):
    """A slide that a model was applied to."""

    name: str
    path: str
    bytes: int
    width: int  # px of the full resolution
    height: int
    microns_per_pixel: float  # of that
    downsample: float  # px of the full resolution on one that the model saw
    tiles: int  # that were predicted
    square_millimetres: float  # that were looked at
    nuclei: dict[str, int] | None  # class -> number; None where areas are sought
    seconds: float  # of the last call
    notes: list[str] = []  # what a person should know of it


class Applied(Record):
    """run.json of `lobule apply`: which model, on what, how, at what cost."""

    weights: str  # the folder
    weights_sha256: str
    model: Model
    licence: str  # of the weights, and thus of what is made with them
    parameters: AppliedParameters
    batch: int
    device: str
    engine_difference: float  # of its probabilities from torch's, at most, on two images
    versions: dict[str, str]
    slides: list[AppliedSlide]
    failed: dict[str, str]  # slide -> why
    seconds: float
    peak_memory: int  # bytes, of the process
