"""A table of the classes of numbered nuclei: a row a nucleus with its image, its number in the mask, and its class."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from pipeline.base.errors import Problem
from pipeline.base.params import Masks
from pipeline.datasets.masks.pairs import Pair
from pipeline.datasets.masks.patients import IMAGE, content_of, image_of
from pipeline.datasets.tables import Line, one_column, read_lines

NUCLEUS = {  # a column's name
    *("id", "instance", "instance_id", "nucleus", "nucleus_id", "object", "object_id", "cell", "cell_id", "label"),
}
CLASS = {"class", "class_name", "classification", "type", "cell_type", "nucleus_type", "category"}
WHOLE = re.compile(r"(\d+)(\.0+)?")  # programs write whole numbers as 7.0, too
Rows = dict[int, str]  # number of a nucleus -> its class, as the table has it


def with_rows(pairs: Sequence[Pair], folder: Path, settings: Masks) -> list[Pair]:
    """Pairs with what the table tells of their nuclei, where there is one; how much of it is used is printed."""
    if settings.class_table is None:
        return list(pairs)
    path = folder / settings.class_table
    table = read_rows(path)
    tell(path, table, [pair.name for pair in pairs])
    return [replace(pair, table=path, rows=rows_of(pair.name, table)) for pair in pairs]


def read_rows(path: Path) -> dict[str, Rows]:
    """The rows of a table by image, which is called without ending.

    Raises:
        Problem: it cannot be read, does not tell which column is which, lacks a cell, or gives a nucleus two classes.
    """
    found: dict[str, Rows] = {}
    for lines in read_lines(path, content_of(path, "classes"), partial(_is_header, path)):
        for image, number, text in _rows(path, lines):
            rows = found.setdefault(image_of(image), {})
            if rows.setdefault(number, text) != text:
                raise Problem(f"{path} gives nucleus {number} of {image} two classes, {rows[number]} and {text}.")
    if not found:
        raise Problem(f"{path} has no rows with an image, an id and a class; give columns that are called so.")
    return found


def rows_of(name: str, table: Mapping[str, Rows]) -> Rows:
    """The rows of an image, under its name or its bare name; none where it has none."""
    return table.get(name) or table.get(PurePosixPath(name).name, {})


def tell(path: Path, table: Mapping[str, Rows], names: Iterable[str]) -> None:
    """Print how many rows there are, and how many of them are of no image here."""
    wanted = {each for name in names for each in (name, PurePosixPath(name).name)}
    unused = sorted(table.keys() - wanted)
    left = sum(len(table[name]) for name in unused)
    whole = sum(map(len, table.values()))
    print(
        f"{path}: found {whole:,} rows = used {whole - left:,} + left out {left:,}"
        + (f" (of no image here: {', '.join(unused[:3])}{', ...' if len(unused) > 3 else ''})" if left else "")
    )


def code_of(text: str, classes: Mapping[str, int | str]) -> int | None:
    """The code of a class that a table calls by its name, or by its value in a legend; None of any other."""
    for code, (name, value) in enumerate(classes.items()):
        values = [part.strip() for part in str(value).split(",")]
        whole = WHOLE.fullmatch(text)
        if called(text) == called(name) or (whole and str(int(whole[1])) in values):
            return code
    return None


def called(text: str) -> str:
    """A class as names are compared: "Immune cell" is immune_cell."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-").lower()


def _rows(path: Path, lines: Iterable[Line]) -> Iterator[tuple[str, int, str]]:
    """Image, number and class of each line below the header."""
    columns: tuple[int, int, int] | None = None
    for row, line in enumerate(lines, start=1):
        if columns is None:
            columns = _columns(path, line)
        elif any(line):
            image, number, text = (line[column] if column < len(line) else "" for column in columns)
            whole = WHOLE.fullmatch(number)
            if not image or not text or not whole:
                raise Problem(
                    f"{path}: row {row} has the image {image!r}, the id {number!r} and the class {text!r}; give all"
                    " three, the id as a whole number."
                )
            yield image, int(whole[1]), text


def _is_header(path: Path, line: Line) -> bool:
    """Whether a line titles the three columns, be each of them one or several."""
    try:
        return _columns(path, line) is not None
    except Problem:
        return True


def _columns(path: Path, titles: Line) -> tuple[int, int, int] | None:
    """Which columns have image, number and class, if this line is the header."""
    small = [title.lower().replace(" ", "_") for title in titles]
    image, number, text = (
        one_column(path, titles, [at for at, title in enumerate(small) if title in known])
        for known in (IMAGE - {"name"}, NUCLEUS, CLASS)
    )
    return None if image is None or number is None or text is None else (image, number, text)
