"""The tables that come with a data set of slides: each slide's patient, its part of the split and its label."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import Problem, machine_problem
from pipeline.datasets.discovery import bare_name
from pipeline.datasets.tables import SUFFIXES, Line, one_column, patient_column, read_lines

__all__ = ["SUFFIXES", "Row", "read_table", "read_tables", "side_of", "slide_name"]

SLIDE = re.compile(r"(wsi|slide)?[ _]*(file)?[ _]*(name)?|(wsi|slide)[ _]*(id|no|number|#)?")  # titles in lower case
SIDE = re.compile(r"(.*\W)?(set|split|subset)")
LABEL = re.compile(r".*(label|type|diagnosis|class).*")
SIDES = {"train": "train", "val": "validation", "test": "test"}  # by how names of the parts begin


@dataclass(frozen=True)
class Row:
    """What the table says of a slide; empty where it does not."""

    patient: str = ""
    side: str = ""  # train, validation or test
    label: str = ""


@dataclass(frozen=True)
class Columns:
    """Where the header of a table says that things stand."""

    slide: int
    patient: int
    sides: tuple[int, ...]
    label: int | None


def read_tables(paths: Sequence[Path], slides: Collection[str]) -> dict[str, Row]:
    """What all tables say of these slides, by their names as `slide_name` has them.

    A table that names no patients is left out and told where another one does; so are slides that no table names.

    Raises:
        Problem: a table is wrong (see `read_table`), none names patients or any of these slides, two contradict each
            other, or the cell of a slide's patient is empty.
    """
    tables = {path: read_table(path) for path in paths}
    useless = [path for path, rows in tables.items() if not rows]
    if useless and len(useless) == len(tables):
        raise Problem(
            f"{useless[0]} has no columns of slides and of patient ids; name them 'WSI Filename' and 'Patient Id', or"
            " move it away."
        )
    for path in useless:
        print(f"{path} is left out: it has no columns of slides and of patient ids.")
    said = {
        name: [(path, rows[name]) for path, rows in tables.items() if name in rows]
        for name in sorted(slides)
        if any(name in rows for rows in tables.values())
    }
    if tables and not said:
        raise Problem(
            f"{paths[0]} names none of the slides that lie beside it, such as {min(slides, default='any')}; correct the"
            " names of the slides in it, or move it away."
        )
    rows = {name: _agreed(name, found) for name, found in said.items()}
    if holes := [name for name, row in rows.items() if not row.patient]:
        raise Problem(
            f"{said[holes[0]][0][0]} names no patient for {len(holes)} of {len(rows)} slides, the first {holes[0]};"
            " write the patient into the row of each slide, or remove the row where nobody knows him."
        )
    if tables and (unnamed := sorted(set(slides) - rows.keys())):
        print(f"No table names the patient of {len(unnamed)} of {len(slides)} slides, the first {unnamed[0]}.")
    return rows


def read_table(path: Path) -> dict[str, Row]:
    """Rows by the slides' names in lower case, without suffix; none where no sheet has columns of slides and patients.

    Raises:
        Problem: it cannot be read, has several columns of slides or of patient ids, or gives a slide two patients or
            two sides of the split.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise (
            machine_problem(path, error)
            or Problem(f"{path} cannot be read ({error.strerror}); see to its permissions, or move it away.")
        ) from None
    said: dict[str, list[tuple[Path, Row]]] = {}
    for lines in read_lines(path, data, _is_header):
        for name, row in _rows(path, lines):
            said.setdefault(name, []).append((path, row))
    return {name: _agreed(name, found) for name, found in said.items()}


def side_of(text: str) -> str:
    """train, validation or test by the name of a folder or a cell; empty for any other."""
    return next((side for start, side in SIDES.items() if text.strip().lower().startswith(start)), "")


def slide_name(text: str) -> str:
    """A slide's name in lower case, without its suffix; a bare number is BRACS's."""
    name = bare_name(text.strip()).strip().lower()
    return f"bracs_{name}" if name.isdigit() else name


def _agreed(name: str, said: Sequence[tuple[Path, Row]]) -> Row:
    """What all rows of a slide say together; what one leaves empty another may tell."""
    patient = _one(name, "patients", [(path, row.patient) for path, row in said])
    side = _one(name, "sides of the split", [(path, row.side) for path, row in said])
    return Row(patient, side, next((row.label for _, row in said if row.label), ""))


def _one(name: str, what: str, said: Sequence[tuple[Path, str]]) -> str:
    first: dict[str, Path] = {}
    for path, value in said:
        if value:
            first.setdefault(value, path)
    if len(first) > 1:
        (one, path), (other, second) = list(first.items())[:2]
        where = f"{path} gives" if path == second else f"{path} and {second} give"
        raise Problem(f"{where} slide {name} two {what}, {one} and {other}; mend it.")
    return next(iter(first), "")


def _is_header(line: Line) -> bool:
    """Whether a line titles columns of slides and of patients, be they one or several."""
    try:
        return _columns("", line) is not None
    except Problem:
        return True


def _columns(path: Path | str, titles: Line) -> Columns | None:
    """Where things stand, if this line is the header: has a column of slides and one of patients."""
    small = [title.lower() for title in titles]
    slides = [at for at, title in enumerate(small) if title and SLIDE.fullmatch(title)]
    if not slides or (patient := patient_column(path, titles)) is None:
        return None
    ranked = [[at for at in slides if small[at].startswith(("wsi", "slide")) and "file" in small[at]]]
    ranked += [[at for at in slides if small[at] != "name"], slides]
    slide = one_column(path, titles, *ranked)
    if slide is None:
        return None
    sides = tuple(at for at, title in enumerate(small) if SIDE.fullmatch(title))
    label = next((at for at, title in enumerate(small) if LABEL.fullmatch(title)), None)
    return Columns(slide, patient, sides, label)


def _rows(path: Path, lines: list[Line]) -> Iterator[tuple[str, Row]]:
    """Slides and rows below the header, which is the first line with a column of slides and one of patients."""
    columns: Columns | None = None
    for line in lines:
        if columns is None:
            columns = _columns(path, line)
            continue
        cells = dict(enumerate(line))
        slide = cells.get(columns.slide, "")
        if not slide:
            continue
        sides = {side for at in columns.sides if (side := side_of(cells.get(at, "")))}
        if len(sides) > 1:
            raise Problem(f"{path} gives slide {slide} two sides of the split, {' and '.join(sorted(sides))}; mend it.")
        label = "" if columns.label is None else cells.get(columns.label, "")
        yield slide_name(slide), Row(cells.get(columns.patient, ""), next(iter(sides), ""), label)
