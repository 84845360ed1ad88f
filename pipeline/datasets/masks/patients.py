"""Who is the patient of an image: by a table, or by a pattern on its name."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from pipeline.base.errors import Problem, machine_problem
from pipeline.base.params import Owned
from pipeline.datasets.discovery import bare_name
from pipeline.datasets.masks.pairs import IMAGES, LABELS, name_of
from pipeline.datasets.tables import Line, one_column, patient_column, read_lines

IMAGE = {  # a column's name
    *("image", "image_name", "image_id", "file", "filename", "file_name", "name", "tile"),
    *("slide", "slide_name", "slide_id", "slide_file", "wsi", "wsi_name", "wsi_id", "wsi_file", "wsi_filename"),
}
PATIENT = {"case", "case_id", "subject", "subject_id"}  # columns that tell it beside those called so


def patients_of(names: Iterable[str], folder: Path, settings: Owned) -> dict[str, str]:
    """The patient of each image, by name; "" where nothing tells.

    Raises:
        Problem: table or pattern cannot be used, or do not tell the patient of an image.
    """
    if settings.patient_table is not None:
        return by_table(names, folder / settings.patient_table)
    if settings.patient_pattern is not None:
        return by_pattern(names, settings.patient_pattern)
    return dict.fromkeys(names, "")


def by_pattern(names: Iterable[str], pattern: str) -> dict[str, str]:
    """The patient of each image: what the first group of a pattern finds in its name, or the whole match."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise Problem(f"the pattern of patients {pattern!r} is no regular expression ({error}); correct it.") from None
    found = {}
    for name in names:
        match = compiled.search(name)
        patient = match and match[min(1, compiled.groups)]
        if not patient:
            raise Problem(f"the pattern of patients {pattern!r} finds none in {name}; correct it, or give a table.")
        found[name] = patient
    return found


def by_table(names: Iterable[str], path: Path) -> dict[str, str]:
    """The patient of each image from a table with a row an image; rows of other images are counted and told.

    Raises:
        Problem: it cannot be read, does not tell which column is which, gives an image two patients or tells
            none of one.
    """
    known: dict[str, str] = {}
    for lines in read_lines(path, content_of(path), partial(_is_header, path)):
        for key, value in _rows(path, lines):
            if known.setdefault(image_of(key), value) != value:
                raise Problem(f"{path} gives {key} two patients, {known[image_of(key)]} and {value}; correct one row.")
    if not known:
        raise Problem(f"{path} has no column of images and none of patients; call one `image` and one `patient`.")
    wanted = list(names)
    found = {name: known.get(name, known.get(PurePosixPath(name).name, "")) for name in wanted}
    missing = [name for name, value in found.items() if not value]
    if missing:
        more = f" and of {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise Problem(f"{path} does not tell the patient of {missing[0]}{more}; add a row for each.")
    if unused := known.keys() - {*wanted, *(PurePosixPath(name).name for name in wanted)}:
        print(f"{path}: {len(unused):,} of {len(known):,} rows are of no image here, such as {min(unused)}")
    return found


def content_of(path: Path, what: str = "patients") -> bytes:
    """What is in a table's file; a Problem where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        said = f"{path} cannot be read ({error.strerror}); give the table of {what}."
        raise (machine_problem(path, error) or Problem(said)) from None


def _rows(path: Path, lines: Sequence[Line]) -> Iterator[tuple[str, str]]:
    """Image and patient of each line below the header."""
    columns: tuple[int, int] | None = None
    for number, line in enumerate(lines, start=1):
        if columns is None:
            columns = _columns(path, line)
        elif any(line):
            key, value = (line[column] if column < len(line) else "" for column in columns)
            if not key or not value:
                raise Problem(f"{path}: row {number} tells no {'patient of ' + key if key else 'image'}; fill it in.")
            yield key, value


def _is_header(path: Path, line: Line) -> bool:
    """Whether a line titles columns of images and of patients, be they one or several."""
    try:
        return _columns(path, line) is not None
    except Problem:
        return True


def _columns(path: Path, titles: Line) -> tuple[int, int] | None:
    """Which column has the image and which the patient, if this line is the header."""
    small = [title.lower().replace(" ", "_") for title in titles]
    image = one_column(path, titles, [at for at, title in enumerate(small) if title in IMAGE])
    called = patient_column(path, titles)
    also = [at for at, title in enumerate(small) if title in PATIENT]
    patient = one_column(path, titles, also if called is None else [called, *also])
    return None if image is None or patient is None else (image, patient)


def image_of(name: str) -> str:
    """What an image is called that a table names with or without its ending."""
    path = PurePosixPath(name.replace("\\", "/"))
    return name_of(path) or name if path.suffix.lower() in IMAGES | LABELS else bare_name(name)
