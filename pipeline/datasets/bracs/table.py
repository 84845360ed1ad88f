"""The table that comes with a data set of slides: each slide's patient, its part of the split and its label."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.errors import Problem

SUFFIXES = {".xlsx", ".csv"}
LARGEST = 1 << 28  # bytes of a workbook, unpacked
COLUMNS = {  # in lower case; the first that matches
    "slide": re.compile(r"(wsi|slide)?[ _]*(file)?[ _]*(name)?|(wsi|slide)[ _]*(id|no|number|#)?"),
    "patient": re.compile(r"patient.*"),
    "side": re.compile(r"(.*\W)?(set|split|subset)"),
    "label": re.compile(r".*(label|type|diagnosis|class).*"),
}
SIDES = {"train": "train", "val": "validation", "test": "test"}  # by how names of the parts begin


@dataclass(frozen=True)
class Row:
    """What the table says of a slide; empty where it does not."""

    patient: str = ""
    side: str = ""  # train, validation or test
    label: str = ""


def read_table(path: Path) -> dict[str, Row]:
    """Rows by the slides' names in lower case, without suffix; of an .xlsx, those of all sheets that name patients.

    Raises:
        Problem: it cannot be read, has no columns of slides and patients, or gives a slide two patients.
    """
    import pandas as pd

    try:
        if path.suffix.lower() == ".xlsx":
            with zipfile.ZipFile(path) as archive:
                if (size := sum(member.file_size for member in archive.infolist())) > LARGEST:
                    raise ValueError(f"unpacked it has {size:,} bytes")
            sheets = list(pd.read_excel(path, sheet_name=None, header=None, dtype=str).values())
        else:
            sheets = [pd.read_csv(path, header=None, dtype=str, sep=None, engine="python", encoding="utf-8-sig")]
    except Exception as error:  # pandas, openpyxl and zipfile raise a dozen kinds
        raise Problem(f"{path} cannot be read as a table ({error}); save it again as .xlsx or .csv.") from None
    rows: dict[str, Row] = {}
    for sheet in sheets:
        for name, row in _rows(sheet.fillna("").to_numpy().tolist()):
            if rows.setdefault(name, row).patient != row.patient:
                raise Problem(
                    f"{path} gives slide {name} two patients, {rows[name].patient} and {row.patient}; mend it."
                )
    if not rows:
        raise Problem(f"{path} has no columns of slides and of patient ids; name them 'WSI Filename' and 'Patient Id'.")
    return rows


def side_of(text: str) -> str:
    """train, validation or test by the name of a folder or a cell; empty for any other."""
    return next((side for start, side in SIDES.items() if text.strip().lower().startswith(start)), "")


def slide_name(text: str) -> str:
    """A slide's name in lower case, without its suffix; a bare number is BRACS's."""
    name = re.sub(r"\.(svs|tiff?|ndpi|mrxs|scn)$", "", text.strip().lower())
    return f"bracs_{name}" if name.isdigit() else name


def _rows(cells: list[list[Any]]) -> list[tuple[str, Row]]:
    """Slides and rows below the header, which is the first line with a column of slides and one of patients."""
    for start, line in enumerate(cells):
        titles = [str(cell).strip().lower() for cell in line]
        place = {
            column: next((at for at, title in enumerate(titles) if title and pattern.fullmatch(title)), None)
            for column, pattern in COLUMNS.items()
        }
        if place["slide"] is None or place["patient"] is None:
            continue

        def cell(row: list[Any], column: str, place: dict[str, int | None] = place) -> str:
            at = place[column]
            return "" if at is None else str(row[at]).strip()

        return [
            (slide_name(cell(row, "slide")), Row(cell(row, "patient"), side_of(cell(row, "side")), cell(row, "label")))
            for row in cells[start + 1 :]
            if cell(row, "slide")
        ]
    return []
