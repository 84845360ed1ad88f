"""What a person gave on the command line of `lobule new`."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.base.paths import expand

FILES = {  # options that are no folders, and what they are
    "patients": "a .csv or .xlsx with the columns image and patient",
    "class_table": "a .csv or .xlsx with the columns image, id and class",
    "coco": "the JSON file of the instances",
}


@dataclass(frozen=True)
class Asked:
    """What a person gave on the command line."""

    images: str | None = None
    masks: str | None = None
    slides: str | None = None
    annotations: str | None = None
    coco: str | None = None
    pannuke: str | None = None
    class_maps: str | None = None
    class_table: str | None = None
    mask_name: str | None = None
    values: str | None = None
    classes: tuple[str, ...] = ()
    legend: str | None = None
    ignore: str | None = None
    nuclei: bool = False
    microns_per_pixel: float | None = None
    tile_size: int | None = None
    patients: str | None = None
    patient_pattern: str | None = None
    skip_unpaired: bool = False
    not_outlined: str | None = None
    region_class: str | None = None
    at: float | None = None


def patients_from(asked: Asked) -> str:
    """Where it is told who the patient is, in words."""
    if asked.patients:
        return f"the table {asked.patients}"
    return f"the pattern '{asked.patient_pattern}' on the names" if asked.patient_pattern else "none told"


def common_folder(**given: str | None) -> tuple[Path, dict[str, str]]:
    """The folder that all that was given lies in, and where each lies in it, by the name of its option.

    Raises:
        Problem: one of them is not there.
    """
    # resolve() fails where a link leads to itself
    paths = {key: Path(os.path.realpath(expand(value))) for key, value in given.items() if value}
    for key, path in paths.items():
        if key in FILES and not path.is_file():
            raise Problem(f"--{key.replace('_', '-')} is {path}, which is no file; give {FILES[key]}.")
        if key not in FILES and not path.is_dir():
            raise Problem(f"--{key.replace('_', '-')} is {path}, which is no folder; give the one with the files.")
    folders = [path if path.is_dir() else path.parent for path in paths.values()]
    folder = Path(os.path.commonpath(folders))
    return folder, {key: path.relative_to(folder).as_posix() for key, path in paths.items()}
