"""The project's params.yaml: the encoder that joins a comparison, the seed of plans, where data comes from."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from pipeline.base.errors import Problem
from pipeline.base.paths import RAW, expand
from pipeline.base.schema import Block, Name, Positive, Weight, parse, read_yaml
from pipeline.base.study import ENCODER, Study
from pipeline.base.study_blocks import NONE

PARAMS = Path("params.yaml")
Kind = Literal[
    "masks", "slides", "coco", "folds"
]  # of data of your own: a key of Dataset, a folder of pipeline/datasets
KINDS: tuple[Kind, ...] = get_args(Kind)
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


class Owned(Block):
    """Who the patient is of an image or slide of your own; the folders and files of all kinds start at the source."""

    patient_table: Annotated[str | None, NONE]  # name of an image, its patient
    patient_pattern: Annotated[str | None, NONE]  # finds the patient in an image's name: its first group
    unpaired: Literal["refuse", "skip"]  # images without an annotation, annotations without an image


class Masks(Owned):
    """Images and masks of your own: where they lie, and what a mask's values mean."""

    images: str
    masks: str
    mask_name: str = Field(pattern=r"^[^{}]*\{\}[^{}]*$")  # of the mask of the image {}, both without their endings
    values: Literal["codes", "colours", "instances", "dictionaries"]  # of a class, a number of a nucleus, or both
    class_maps: Annotated[str | None, NONE]  # of instances, where codes of their classes lie; none: there is one class
    class_table: Annotated[str | None, NONE] = None  # of instances, a table of their classes instead: image, id, class
    classes: dict[Name, int | str] = Field(min_length=2)  # name -> code or #rrggbb, several with commas between them
    ignore: Annotated[int | str | None, NONE]  # codes or colours of pixels that count nowhere
    pieces: bool  # of codes and colours: every connected piece of a class but the first is a nucleus
    microns_per_pixel: Pixel
    tile_size: int = Field(ge=32, le=2048)  # px a side, into which images are cut

    @property
    def nuclei(self) -> bool:
        """Whether what is annotated are nuclei, each by itself, and not areas."""
        return self.values in ("instances", "dictionaries") or self.pieces


def names_in(text: str) -> list[str]:
    """The names, in lower case, that outlines of a class have in annotations; none for `none`."""
    return [] if text == "none" else [name.strip().lower() for name in text.split("|") if name.strip()]


class Slides(Owned):
    """Whole slides of your own with outlines on them, and what the outlines mean."""

    slides: str
    annotations: str
    classes: dict[Name, str] = Field(min_length=2, max_length=65)  # name -> names in annotations, | between them
    not_outlined: Literal["background", "ignore"]  # what no outline holds: of the first class, or counted nowhere
    region_class: Annotated[str | None, NONE]  # in annotations, of outlines outside of which nothing counts
    tiling: Tiling

    @model_validator(mode="after")
    def a_name_means_one_thing(self) -> "Slides":
        first, *others = self.classes
        if bare := [name for name in others if not names_in(self.classes[name])]:
            raise ValueError(f"gives the class {bare[0]} no name in annotations; only the first class may have none")
        if self.not_outlined == "ignore" and not names_in(self.classes[first]):
            raise ValueError(f"ignores what is not outlined, and no outline is of the first class, {first}; name one")
        seen: dict[str, str] = {self.region_class.lower(): "regions"} if self.region_class else {}
        for name, text in self.classes.items():
            for each in names_in(text):
                if (other := seen.setdefault(each, name)) != name:
                    raise ValueError(f"has outlines of {each!r} be {other} and {name}; give each one meaning")
        return self


class Coco(Owned):
    """Images of your own with instances as COCO has them: a JSON file of polygons and runs of pixels."""

    images: str
    instances: str
    classes: dict[Name, str] = Field(min_length=2)  # name -> names of categories, | between them; none: the background
    microns_per_pixel: Pixel
    tile_size: int = Field(ge=32, le=2048)  # px a side, into which images are cut


class Folds(Block):
    """Tiles of your own in PanNuke's layout: folds of images.npy, masks.npy and types.npy."""

    folds: str  # their numbers with commas between them: one to test on, one to validate on, the rest
    classes: dict[Name, int] = Field(min_length=2)  # name -> channel of masks.npy, the background's first
    microns_per_pixel: Pixel

    @property
    def names(self) -> list[str]:
        """The names of the folds, as shards are called."""
        return [f"fold{number.strip()}" for number in self.folds.split(",")]

    @model_validator(mode="after")
    def every_channel_once(self) -> "Folds":
        if sorted(self.classes.values()) != list(range(len(self.classes))):
            raise ValueError(f"has the channels {sorted(self.classes.values())}; give each from 0 on to one class")
        return self


class Dataset(Block):
    """Where a data set comes from: `sample`, `official` or a folder; how its slides are cut; what one's own holds."""

    source: str = Field(min_length=1)
    tiling: Tiling | None = None
    masks: Masks | None = None
    slides: Slides | None = None
    coco: Coco | None = None
    folds: Folds | None = None

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of one's own data that it describes: one, or none of a public data set."""
        return [kind for kind in KINDS if getattr(self, kind) is not None]


class Params(Block):
    """The whole file. `sample` holds the seed of the drawing and, for each data set, what its card says is drawn."""

    encoder: Name
    seed: int = Field(ge=0)
    datasets: dict[Name, Dataset]
    own: dict[Name, Kind]  # data sets of your own -> their kind
    sample: dict[str, Any]

    @model_validator(mode="after")
    def own_data_is_described(self) -> "Params":
        for name, settings in self.datasets.items():
            kind = self.own.get(name)
            if settings.kinds != ([kind] if kind else []):
                what = f"what is in its {' and '.join(settings.kinds)}" if settings.kinds else f"nothing of its {kind}"
                raise ValueError(
                    f"says under own that {name} is {kind or 'none of yours'}, and under datasets.{name} {what};"
                    " correct one of them"
                )
        if missing := [name for name in self.own if name not in self.datasets]:
            raise ValueError(f"has {missing[0]} under own and not under datasets; add it there")
        return self

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
        described = {name: self.datasets[name] for name in study.datasets}
        sources = {
            name: each.model_dump(mode="json", exclude={*KINDS, *(["tiling"] if each.kinds else [])} - {*each.kinds})
            for name, each in described.items()
        }
        used = {"seed": self.seed, "datasets": sources}
        return {"encoder": encoder} | used if (encoder := self.joining(study)) else used


def read_params(path: Path = PARAMS) -> Params:
    """Read and check the project's params.yaml.

    Raises:
        Problem: the file is missing, is no YAML, or holds a key, type or value that is not allowed.
    """
    return parse(Params, read_yaml(path), str(path))


def convert_stage(dataset: str) -> str:
    """The stage of dvc.yaml that fills the tile store of a data set, a public one or one's own.

    Raises:
        Problem: as `read_params`.
    """
    return f"convert-own@{dataset}" if dataset in read_params().own else f"convert@{dataset}"


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
