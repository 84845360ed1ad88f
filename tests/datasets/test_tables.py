"""Cells of a table are what a person sees in them, and a table that is none, or a bomb, is refused."""

import io
import zipfile

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.datasets.tables import clean, decode, patient_column, read_lines


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_text_is_read_in_its_charset(text: str, charset: str) -> None:
    assert decode(text.encode(charset)) == text.removeprefix("\ufeff")


def test_charsets_without_a_mark() -> None:
    assert decode("Müller, 1".encode("cp1252")) == "Müller, 1"
    assert decode("a,b\n1,2".encode("utf-16-le")) == decode("a,b\n1,2".encode("utf-16-be")) == "a,b\n1,2"


@given(st.text())
def test_what_looks_alike_is_alike(text: str) -> None:
    assert clean(clean(text)) == clean(text) == clean(f"\ufeff {text}\u00a0")
    assert clean("Mu\u0308ller  1\u200b") == "Müller 1"


@pytest.mark.parametrize(
    ("titles", "at"),
    [
        (["slide", "Patient age", "Patient Id"], 2),
        (["Patient", "Patient sex"], 0),
        (["Patients", "slide"], 0),
        (["Patient name", "Patient number"], 1),
        (["Patient name", "Age"], 0),
        (["ID of patient"], None),  # nobody can know: "number of patients" is no id either
        (["Number of patients", "Patient count", "Patient birth date"], None),
        (["Patient Id (hospital)"], 0),
        (["Patient #"], 0),
        (["case", "donor"], None),
    ],
)
def test_the_column_of_patients(titles: list[str], at: int | None) -> None:
    assert patient_column("a.csv", titles) == at


def test_two_columns_of_ids_are_refused() -> None:
    with pytest.raises(
        Problem, match=r"a\.csv has several columns of one meaning, 'Patient Id' and 'patient_no'; keep"
    ):
        patient_column("a.csv", ["Patient Id", "Patient age", "patient_no"])


def test_a_sheet_with_a_cell_far_away_and_wide_merges_is_read() -> None:
    book = openpyxl.Workbook()
    book.active.append(["slide", "patient"])
    book.active.append(["1", "A"])
    book.active["B900000"] = "stray"
    book.active.merge_cells("A900001:B900002")
    data = io.BytesIO()
    book.save(data)
    (lines,) = read_lines("a.xlsx", data.getvalue(), lambda line: "slide" in line)
    assert lines[:2] == [["slide", "patient"], ["1", "A"]]


def test_a_bomb_is_refused() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 200_000_000)
    with pytest.raises(Problem, match=r"a\.xlsx is larger than a table of patients ever is"):
        read_lines("a.xlsx", data.getvalue(), lambda line: True)
    with pytest.raises(Problem, match="larger than"):
        read_lines("a.csv", b"\n" * 60_000_000, lambda line: True)
