"""What classes are called, and which value of a mask each has: a legend file, or names in the order of codes."""

import json
import re
from collections.abc import Sequence
from csv import Error as CsvError
from csv import reader
from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.base.schema import NAME

CODE = re.compile(r"\d{1,9}")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
Classes = dict[str, int | str]  # name -> code, or colour as #rrggbb; several with commas between them


def read_legend(path: Path) -> Classes:
    """The classes of a legend, in its order: lines `value,name` or `red,green,blue,name`, or JSON of names and values.

    Raises:
        Problem: it cannot be read, or a line of it holds no value or no name.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read ({error}); give a legend as lines of text, a value and a name.") from None
    rows = _json_rows(text, path) if text.lstrip().startswith("{") else _text_rows(text, path)
    found: Classes = {}
    owners: dict[str, str] = {}
    for value, name in rows:
        check_name(name, str(path))
        if (other := owners.setdefault(value.lower(), name)) != name:
            raise Problem(f"{path} gives {value} two names, {other} and {name}; leave one of them out.")
        found[name] = f"{found[name]}, {value}" if name in found else _plain(value)
    if len(found) < 2:
        raise Problem(f"{path} names {len(found)} classes; give at least two, the background among them.")
    return found


def by_order(names: Sequence[str]) -> Classes:
    """Classes whose codes are 0, 1, 2, ... in this order.

    Raises:
        Problem: a name comes twice, or cannot be one.
    """
    for place, name in enumerate(names):
        if name in names[:place]:
            raise Problem(f"--classes names {name} twice; give each code a name of its own.")
        check_name(name, "--classes")
    return {name: code for code, name in enumerate(names)}


def check_name(name: str, where: str) -> None:
    """Refuse what cannot stand in a table or the name of a column.

    Raises:
        Problem: naming the class.
    """
    if not NAME.fullmatch(name):
        raise Problem(
            f"{where} calls a class {name!r}; give it letters, digits, dots, underscores and hyphens, such as"
            f" {suggestion(name)}."
        )


def suggestion(name: str) -> str:
    """A name that is allowed, and as near as can be."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:64] or "class_1"


def _plain(value: str) -> int | str:
    return value.lower() if value.startswith("#") else int(value)


def _json_rows(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        pairs = [(str(key), str(value)) for key, value in json.loads(text).items()]
    except (ValueError, RecursionError) as error:
        raise Problem(f"{path} is no JSON ({error}); correct it, or give lines of a value and a name.") from None
    return [_row([key, value], path, key) for key, value in pairs]


def _text_rows(text: str, path: Path) -> list[tuple[str, str]]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    delimiter = max(",;\t", key=text.count)
    try:
        rows = [[cell.strip() for cell in row] for row in reader(lines, delimiter=delimiter)]
    except CsvError as error:  # a cell too long, a quotation mark without an end
        raise Problem(f"{path} is no legend ({error}); give lines of a value and a name.") from None
    if rows and len(rows) > 1 and not any(CODE.fullmatch(cell) or COLOUR.fullmatch(cell) for cell in rows[0]):
        del rows[0]  # a header
    return [_row(row, path, row[0]) for row in rows]


def _row(cells: list[str], path: Path, where: str) -> tuple[str, str]:
    """Value and name of a line, whichever stands first."""
    cells = [cell for cell in cells if cell]
    numbers = [cell for cell in cells if CODE.fullmatch(cell)]
    names = [cell for cell in cells if not CODE.fullmatch(cell) and not COLOUR.fullmatch(cell)]
    colours = [cell for cell in cells if COLOUR.fullmatch(cell)]
    if len(numbers) == 3 and all(int(number) < 256 for number in numbers):
        colours = ["#" + "".join(f"{int(number):02x}" for number in numbers)]
        numbers = []
    if len(names) != 1 or len(colours or numbers) != 1:
        raise Problem(
            f"{path}: the line of {where!r} is not a value and a name; write `1,tumour`, `#ff0000,tumour` or"
            " `255,0,0,tumour`."
        )
    return (colours or numbers)[0], names[0]
