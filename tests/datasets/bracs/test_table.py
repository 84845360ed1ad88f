"""Tables of slides name the patients, or are refused where they may name the wrong ones."""

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.datasets.bracs.table import Row, read_table, read_tables
from pipeline.datasets.tables import clean

SLIDES = [f"bracs_{number}" for number in range(1, 7)]
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8).map(clean).filter(bool)
ODD = st.sampled_from(
    ["NA", "None", "nan", "null", "0012", "12", "12.0", "1e5", "100000", "-", "TRUE", "3-1", "=A1", "#1"]
)


def test_tables_of_several_kinds(tmp_path: Path) -> None:
    wanted = {"bracs_7": Row("31", "train", "UDH"), "bracs_8": Row("32", "test", "N")}
    header = ["WSI Filename", "Patient Id", "Set", "WSI label"]
    frame = pd.DataFrame([["BRACS_7.svs", "31", "Training", "UDH"], ["8", "32", "test", "N"]], columns=header)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame[header[::-1]].to_csv(tmp_path / "b.csv", index=False, sep=";", encoding="utf-8-sig")
    frame.to_csv(tmp_path / "d.csv", index=False, sep="\t", encoding="utf-16")
    with pd.ExcelWriter(tmp_path / "c.xlsx") as book:
        pd.DataFrame([["BRACS", "2022"]]).to_excel(book, sheet_name="About", header=False, index=False)
        frame.to_excel(book, sheet_name="WSI", index=False, startrow=2)
    for name in ("a.csv", "b.csv", "c.xlsx", "d.csv"):
        assert read_table(tmp_path / name) == wanted, name


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("a.csv", "x,y\n1,2\n", "has no columns of slides and of patient ids"),
        ("a.csv", "", "has no columns of slides and of patient ids"),
        ("a.csv", "slide,patient age\nBRACS_1,61\n", "has no columns of slides and of patient ids"),
        ("a.xlsx", "hello", "cannot be read as a table"),
        ("a.csv", "slide,patient\nBRACS_1,1\nBRACS_1,2\n", "gives slide bracs_1 two patients, 1 and 2"),
        ("a.csv", "slide,patient,set\nBRACS_1,1,train\n1,1,test\n", "slide bracs_1 two sides of the split, train and"),
        ("a.csv", "slide,patient,set,subset\nBRACS_1,1,train,val\n", "two sides of the split, train and validation"),
        ("a.csv", "slide,Patient Id,Patient No\nBRACS_1,1,2\n", "one meaning, 'Patient Id' and 'Patient No'"),
        ("a.csv", "slide,Patient,PatientID\nBRACS_1,1,2\n", "one meaning, 'Patient' and 'PatientID'"),
        ("a.csv", "slide,wsi no,patient\nBRACS_1,2,2\n", "one meaning, 'slide' and 'wsi no'"),
        ("a.csv", "slide,patient\nBRACS_9,1\n", "names none of the slides that lie beside it, such as bracs_1"),
        ("a.csv", "slide,patient\n1,P\n2,\n3,Q\n4,\n", "names no patient for 2 of 4 slides, the first bracs_2;"),
    ],
)
def test_wrong_tables_are_refused(name: str, text: str, wanted: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(Problem, match=wanted):
        read_tables([tmp_path / name], SLIDES)


@pytest.mark.parametrize(
    "header",
    [
        "Patient age,Patient Id",
        "Patient sex,PatientID",
        "Patient name,patient_id",
        "Patient type,Anonymised patient no.",
    ],
)
def test_the_patient_is_the_column_of_ids(header: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"Slides of the clinic, 2022\n\nName,WSI Filename,{header}\nB,BRACS_1,61,A\n")
    assert read_table(tmp_path / "a.csv")["bracs_1"].patient == "A"


def test_merged_cells_are_every_slides(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for line in (
        ["The slides", None],
        [None],
        ["Patient Id", "WSI Filename"],
        ["P1", 1],
        [None, 2],
        ["P2", 3],
        [None, 4],
    ):
        sheet.append(line)
    for cells in ("A1:B1", "A4:A5", "A6:A7"):
        sheet.merge_cells(cells)
    book.save(tmp_path / "a.xlsx")
    patients = {name: row.patient for name, row in read_tables([tmp_path / "a.xlsx"], SLIDES).items()}
    assert patients == {"bracs_1": "P1", "bracs_2": "P1", "bracs_3": "P2", "bracs_4": "P2"}
    sheet.unmerge_cells("A6:A7")
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(Problem, match="names no patient for 1 of 4 slides, the first bracs_4; write the patient into"):
        read_tables([tmp_path / "b.xlsx"], SLIDES)


def test_numbers_of_a_spreadsheet_are_what_it_shows(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for line in (["Slide", "Patient"], [1, 12], [2, "0012"], [3, 12], [4, 12.0], [5, "#N/A"]):
        sheet.append(line)
    sheet["B4"].number_format = "0000"
    sheet["B6"].data_type = "e"
    book.save(tmp_path / "a.xlsx")
    found = read_table(tmp_path / "a.xlsx")
    assert [found[name].patient for name in SLIDES[:5]] == ["12", "0012", "0012", "12", ""]


def test_several_tables_complete_each_other_or_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, other, old = (tmp_path / f"{name}.csv" for name in ("one", "two", "other", "old"))
    one.write_text("slide,patient\nBRACS_1,A\nBRACS_2,\n")
    two.write_text("slide,patient,set\nBRACS_2,B,test\n")
    other.write_text("stain,company\nH&E,Someone\n")
    found = read_tables([one, other, two], SLIDES)
    assert found == {"bracs_1": Row("A"), "bracs_2": Row("B", "test")}
    said = capsys.readouterr().out
    assert f"{other} is left out" in said and "patient of 4 of 6 slides, the first bracs_3" in said
    old.write_text("slide,patient\nBRACS_2,A\n")
    with pytest.raises(Problem, match=r"two\.csv and .*old\.csv give slide bracs_2 two patients, B and A"):
        read_tables([one, two, old], SLIDES)


def write_csv(path: Path, lines: list[list[str]], separator: str, charset: str) -> None:
    quoted = [separator.join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines]
    path.write_bytes("\r\n".join(quoted).encode(charset, errors="replace"))


def write_xlsx(path: Path, lines: list[list[str]]) -> None:
    book = openpyxl.Workbook()
    for row, line in enumerate(lines, start=1):
        for column, value in enumerate(line, start=1):
            book.active.cell(row, column, value).data_type = "s"  # text, also where it looks like a formula
    book.save(path)


WRITERS: list[Callable[[Path, list[list[str]]], None]] = [
    lambda path, lines: write_csv(path, lines, ",", "utf-8"),
    lambda path, lines: write_csv(path, lines, ";", "utf-8-sig"),
    lambda path, lines: write_csv(path, lines, "\t", "utf-16"),
    lambda path, lines: write_csv(path, lines, "|", "utf-16-le"),
    write_xlsx,
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(names | ODD, min_size=1, max_size=6), st.sampled_from(WRITERS), st.booleans(), st.randoms())
def test_every_patient_keeps_his_name(
    tmp_path: Path, patients: list[str], write: Callable[[Path, list[list[str]]], None], titled: bool, random: object
) -> None:
    """In any charset, with any separator, below title lines, whatever the order of columns."""
    header = ["WSI Filename", "Patient age", "Patient Id", "Set"]
    rows = [[f"BRACS_{i}.svs", "61", patient, "train"] for i, patient in enumerate(patients, start=1)]
    order = list(range(4))
    random.shuffle(order)  # type: ignore[attr-defined]
    lines = [[line[at] for at in order] for line in [header, *rows]]
    write(
        tmp_path / "table.xlsx" if write is write_xlsx else tmp_path / "table.csv",
        [["BRACS, of 2022"], []] * titled + lines,
    )
    path = tmp_path / ("table.xlsx" if write is write_xlsx else "table.csv")
    found = read_tables([path], SLIDES[: len(patients)])
    assert [found[name].patient for name in SLIDES[: len(patients)]] == patients


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["", "A", "B", "NA"]), min_size=2, max_size=6))
def test_no_slide_of_a_table_is_without_patient(tmp_path: Path, patients: list[str]) -> None:
    """A hole is refused, merged cells are filled: a row of a slide that is there never ends without a patient."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["slide", "patient"])
    for number, patient in enumerate(patients, start=1):
        sheet.append([number, patient or None])
    book.save(tmp_path / "a.xlsx")
    if "" in patients:
        with pytest.raises(Problem, match="names no patient for"):
            read_tables([tmp_path / "a.xlsx"], SLIDES)
    starts = [at for at, patient in enumerate(patients) if patient or at == 0]
    for start, end in zip(starts, [*starts[1:], len(patients)], strict=True):
        if end - start > 1:
            sheet.merge_cells(start_row=start + 2, end_row=end + 1, start_column=2, end_column=2)
    book.save(tmp_path / "b.xlsx")
    if patients[0]:
        found = read_tables([tmp_path / "b.xlsx"], SLIDES)
        above = [next(name for name in patients[at::-1] if name) for at in range(len(patients))]
        assert [found[name].patient for name in SLIDES[: len(patients)]] == above


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["xlsx", "csv"]), st.integers(0, 10**6), st.binary(min_size=1, max_size=4), st.booleans())
def test_a_damaged_table_is_read_or_refused_in_a_sentence(
    tmp_path: Path, kind: str, place: int, noise: bytes, cut: bool
) -> None:
    path = tmp_path / f"a.{kind}"
    lines = [["slide", "patient"], ["1", "A"], ["2", "B"]]
    write_xlsx(path, lines) if kind == "xlsx" else write_csv(path, lines, ",", "utf-8")
    data = path.read_bytes()
    at = place % len(data)
    path.write_bytes(data[:at] if cut else data[:at] + noise + data[at + len(noise) :])
    try:
        read_tables([path], SLIDES[:2])
    except Problem as problem:
        assert str(path) in str(problem) and str(problem).endswith(".") and "\n" not in str(problem)
