"""Tables as people keep them, .xlsx or .csv: their cells as text, and which column tells the patient.

A cell is what a person sees in it: `NA`, `0012` and `1e5` are names like any other. Merged cells have one text, each of
them. Charset and separator of a .csv are found out.
"""

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

from pipeline.base.errors import Problem

SUFFIXES = {".xlsx", ".xlsm", ".csv", ".tsv"}
SEPARATORS = ",;\t|"
MOST_BYTES, MOST_CELLS = 50_000_000, 20_000_000  # of a table, unpacked: far more than any list of slides has

ID = {"id", "ids", "identifier", "uid", "no", "nr", "num", "number", "code", "key", "pseudonym", "hash", "#"}
NO_ID = {"age", "sex", "gender", "date", "year", "birth", "type", "count", "of", "slides", "images", "samples"}
GLUED = re.compile(r"^(patient)s?(?=(id|uid|no|nr|num|number|code|key|name)s?\b)")  # PatientID, patientno

Line = list[str]


def read_lines(name: object, data: bytes, wanted: Callable[[Line], bool]) -> list[list[Line]]:
    """The lines of each sheet of which one is `wanted`; of a .csv with the separator that makes one so.

    `name` is what a person knows the file by, `data` what is in it.

    Raises:
        Problem: it is no table, or larger than one of slides or images ever is.
    """
    try:
        if data.startswith(b"PK"):
            sheets = [_bounded(name, sheet) for sheet in _sheets(name, data)]
            return [lines for lines in sheets if any(map(wanted, lines))]
        if str(name).lower().endswith((".xlsx", ".xlsm")):
            raise ValueError("it is no .xlsx inside")
        if len(data) > MOST_BYTES:
            raise _too_large(name)
        text = decode(data)
        for separator in SEPARATORS:
            lines = _bounded(name, ([clean(cell) for cell in line] for line in _split(text, separator)))
            if any(map(wanted, lines)):
                return [lines]
    except Problem:
        raise
    except Exception as error:  # openpyxl, zipfile and csv raise a dozen kinds
        raise Problem(f"{name} cannot be read as a table ({error}); save it again as .xlsx or .csv.") from None
    return []


def decode(data: bytes) -> str:
    """Text in UTF-8 or UTF-16, with or without a mark, else in the charset of Windows in the West.

    Raises:
        UnicodeDecodeError: it is in none of them.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    if nulls := data.count(0):
        return data.decode("utf-16-le" if data[1::2].count(0) * 2 > nulls else "utf-16-be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def clean(text: str) -> str:
    """A text of one Unicode form, without invisible characters and with single spaces: what looks alike is alike."""
    seen = "".join(letter for letter in text if letter.isprintable() or letter.isspace())
    return " ".join(unicodedata.normalize("NFC", seen).split())


def patient_column(name: object, titles: Sequence[str]) -> int | None:
    """Which of a table's columns tells the patient, by their titles; None where none does.

    One that says it is an id ("Patient Id", "PatientNo") or is called "Patient"; else the patient's name. "Patient
    age" tells no patient.

    Raises:
        Problem: several columns do.
    """
    found = [_words(title) for title in titles]
    sure = [at for at, words in enumerate(found) if "patient" in words and _is_id(words)]
    return one_column(name, titles, sure, [at for at, words in enumerate(found) if words == ["patient", "name"]])


def one_column(name: object, titles: Sequence[str], *fitting: list[int]) -> int | None:
    """The one column of the first list that has any; None where all are empty.

    Raises:
        Problem: that list has several.
    """
    columns: list[int] = next((columns for columns in fitting if columns), [])
    if len(columns) > 1:
        listed = " and ".join(f"'{titles[at]}'" for at in columns)
        raise Problem(f"{name} has several columns of one meaning, {listed}; keep one of them, or rename the others.")
    return columns[0] if columns else None


def _words(title: str) -> list[str]:
    """Words of a title in lower case: "PatientID" is patient and id, "Patients" is patient."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title)
    glued = GLUED.sub(r"\1 ", apart.lower().strip())
    words = re.findall(r"[^\W_]+|#", glued)
    return ["patient" if word == "patients" else "name" if word == "names" else word for word in words]


def _is_id(words: list[str]) -> bool:
    return words == ["patient"] or (not ID.isdisjoint(words) and NO_ID.isdisjoint(words))


def _split(text: str, separator: str) -> Iterator[Line]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator)


def _bounded(name: object, lines: Iterable[Line]) -> list[Line]:
    kept, cells = [], 0
    for line in lines:
        cells += len(line)
        if cells > MOST_CELLS:
            raise _too_large(name)
        kept.append(line)
    return kept


def _too_large(name: object) -> Problem:
    return Problem(f"{name} is larger than a table of patients ever is; move it away, or leave out what is no name.")


def _sheets(name: object, data: bytes) -> Iterator[Iterator[Line]]:
    """The lines of each sheet of an .xlsx, every merged cell with the text of the first."""
    import warnings

    import openpyxl

    with zipfile.ZipFile(io.BytesIO(data)) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formatting that openpyxl does not know
        if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
            raise _too_large(name)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # some programs write wrong ones
            lines = ([_text(cell) for cell in row] for row in sheet.iter_rows())
            # Read as a stream, which takes little memory, openpyxl passes over merged cells.
            yield _filled(lines, _merged(archive, sheet._worksheet_path))
        book.close()


def _text(cell: Any) -> str:
    """What a person sees in a cell; nothing where a formula failed."""
    value = cell.value
    if value is None or cell.data_type == "e":
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and re.fullmatch("0+", str(cell.number_format)):
        return f"{value:0{len(cell.number_format)}}"
    return clean(str(value))


def _merged(archive: zipfile.ZipFile, path: str) -> list[tuple[int, int, int, int]]:
    """First row and column, last row and column of each group of merged cells, from 1, by first row."""
    from openpyxl.utils import range_boundaries

    found = []
    with archive.open(path.lstrip("/")) as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag.endswith("}mergeCell"):
                left, top, right, bottom = range_boundaries(element.get("ref", ""))
                found.append((top, left, bottom, right))
            element.clear()
    return sorted(found)


def _filled(lines: Iterable[Line], merged: list[tuple[int, int, int, int]]) -> Iterator[Line]:
    """Lines with the text of merged cells in each of them, down to the last line in which something is written."""
    ahead = iter(merged)
    group = next(ahead, None)
    below: dict[int, tuple[int, str]] = {}  # column -> the last row that it is merged down to, and the text
    for row, line in enumerate(lines, start=1):
        while group and group[0] <= row:
            top, left, bottom, right = group
            if top == row:
                text = line[left - 1] if left <= len(line) else ""
                below |= dict.fromkeys(range(left - 1, right), (bottom, text))
            group = next(ahead, None)
        for column in [column for column, (last, _) in below.items() if last < row]:
            del below[column]
        if below and any(line):
            line = line + [""] * (max(below) + 1 - len(line))
            for column, (_, text) in below.items():
                line[column] = text
        yield line
