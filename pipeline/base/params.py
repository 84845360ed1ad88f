"""The project's params.yaml: the encoder that joins a comparison, the seed of plans, where data comes from."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pipeline.base.errors import Problem
from pipeline.base.paths import RAW, expand
from pipeline.base.schema import Block, Name, Positive, Weight, parse, read_yaml
from pipeline.base.study import ENCODER, Study

PARAMS = Path("params.yaml")
Pixel = Annotated[float, Field(ge=0.01, le=100)]  # µm a side; beyond it nothing is a slide, and no memory holds one
FULL = BeforeValidator(lambda value: None if value == "full" else value)  # words, since YAML's null would vanish when
TAGS = BeforeValidator(lambda value: None if value == "tags" else value)  # DVC writes the file


class Tiling(Block):
    """How slides are cut into tiles; what is not given is the paper's."""

    tile_size: int = Field(default=512, ge=32, le=4096)
    stride: Positive = 512
    microns_per_pixel: Annotated[Pixel | None, FULL] = 0.25
    slide_microns_per_pixel: Annotated[Pixel | None, TAGS] = None
    background: Weight = 12.5
    lesion_free: Weight = 3
    at_least: int = Field(default=0, ge=0)
    seed: int = Field(default=42, ge=0)
    slides: str = "all"

    @property
    def names(self) -> list[str]:
        """The slides that are named, none where all are meant."""
        return [] if self.slides == "all" else [name.strip() for name in self.slides.split(",") if name.strip()]


class Dataset(Block):
    """Where a data set comes from: `sample`, `official` or a folder; and how its slides are cut."""

    source: str = Field(min_length=1)
    tiling: Tiling | None = None


class Params(Block):
    """The whole file. `sample` holds the seed of the drawing and, for each data set, what its card says is drawn."""

    encoder: Name
    seed: int = Field(ge=0)
    datasets: dict[Name, Dataset]
    sample: dict[str, Any]

    def dataset(self, name: str) -> Dataset:
        """Where a data set comes from; a Problem where the file does not say."""
        if name not in self.datasets:
            raise Problem(f"{PARAMS} has no data set named {name!r} under datasets; add it, or give another name.")
        return self.datasets[name]

    def joining(self, study: Study) -> str | None:
        """The encoder, where it joins what the study compares."""
        return self.encoder if ENCODER in study.compare else None

    def used_by(self, study: Study) -> dict[str, Any]:
        """What a study uses of the file, as plain values: the encoder where it joins, the seed, its data sets."""
        sources = {name: self.datasets[name].model_dump(mode="json") for name in study.datasets}
        used = {"seed": self.seed, "datasets": sources}
        return {"encoder": encoder} | used if (encoder := self.joining(study)) else used


def read_params(path: Path = PARAMS) -> Params:
    """Read and check the project's params.yaml.

    Raises:
        Problem: the file is missing, is no YAML, or holds a key, type or value that is not allowed.
    """
    return parse(Params, read_yaml(path), str(path))


def own_folder(name: str, source: str) -> Path | None:
    """The user's folder that is the source of a data set, as an absolute path; None for `sample` and `official`.

    Relative ones start at the project, `~` is the home folder.

    Raises:
        Problem: it is no folder, or one that DVC deletes.
    """
    if source in {"sample", "official"}:
        return None
    folder = expand(source).resolve()
    key = f"{PARAMS}: datasets.{name}.source is {source!r}"
    if not folder.is_dir():
        raise Problem(f"{key}, which is no folder ({folder}); give sample, official or a folder.")
    if folder.is_relative_to(RAW.resolve()):
        raise Problem(f"{key}, which DVC empties before it is read; move your files to a folder outside of {RAW}.")
    return folder
