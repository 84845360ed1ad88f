"""Who is the patient of an image: by a table, or by a pattern on its name."""

import csv
import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path, PurePosixPath

from pipeline.base.errors import Problem
from pipeline.base.params import Masks
from pipeline.datasets.masks.pairs import name_of

IMAGE = {"image", "image_name", "image_id", "file", "filename", "file_name", "name", "tile"}  # a column's name
PATIENT = {"patient", "patient_id", "patientid", "case", "case_id", "subject", "subject_id"}
SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy"}


def patients_of(names: Iterable[str], folder: Path, settings: Masks) -> dict[str, str]:
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
    """The patient of each image from a CSV with a row an image; rows of other images are counted and told.

    Raises:
        Problem: it cannot be read, does not tell which column is which, or names an image twice or not at all.
    """
    rows = _read(path)
    image, patient, body = _columns(rows, path)
    known: dict[str, str] = {}
    for number, row in enumerate(body, start=len(rows) - len(body) + 1):
        if not any(row):
            continue
        key, value = (row[column].strip() if column < len(row) else "" for column in (image, patient))
        if not key or not value:
            raise Problem(f"{path}: row {number} tells no {'patient of ' + key if key else 'image'}; fill it in.")
        if known.setdefault(_bare(key), value) != value:
            raise Problem(f"{path} gives {key} two patients, {known[_bare(key)]} and {value}; correct one row.")
    wanted = list(names)
    found = {name: known.get(name, known.get(PurePosixPath(name).name, "")) for name in wanted}
    missing = [name for name, value in found.items() if not value]
    if missing:
        more = f" and of {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise Problem(f"{path} does not tell the patient of {missing[0]}{more}; add a row for each.")
    if unused := known.keys() - {*wanted, *(PurePosixPath(name).name for name in wanted)}:
        print(f"{path}: {len(unused):,} of {len(known):,} rows are of no image here, such as {min(unused)}")
    return found


def _read(path: Path) -> list[list[str]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} cannot be read ({error.strerror}); give the table of patients.") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    return list(csv.reader(StringIO(text), delimiter=delimiter))


def _columns(rows: list[list[str]], path: Path) -> tuple[int, int, list[list[str]]]:
    """Which column has the image, which the patient, and the rows below the header."""
    if not rows or len(rows[0]) < 2:
        raise Problem(f"{path} has no two columns; give a CSV with the columns image and patient.")
    header = [cell.strip().lower().replace(" ", "_") for cell in rows[0]]
    images, patients = ([n for n, cell in enumerate(header) if cell in known] for known in (IMAGE, PATIENT))
    if len(images) != 1 or len(patients) != 1:
        raise Problem(
            f"{path} has the columns {', '.join(rows[0])}, and which tell image and patient is not clear; call one of"
            " them image and one patient."
        )
    return images[0], patients[0], rows[1:]


def _bare(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    return name_of(path) or name if path.suffix.lower() in SUFFIXES else name
