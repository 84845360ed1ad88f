"""Classes of numbered nuclei from a table: to the pixel what another reading of the same files gives."""

import csv
import tempfile
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_test
from hypothesis import strategies as st
from PIL import Image
from skimage.measure import regionprops

from pipeline.base.errors import Problem
from pipeline.datasets.masks.class_table import code_of, read_rows
from tests.datasets.masks.test_reader import CODES, tiles
from tests.own import drawn

NAMES = list(CODES)
INSTANCES = {"values": "instances", "class_table": "nuclei.csv"}


def write(folder: Path, rows: list[tuple[object, ...]], titles: tuple[str, ...] = ("image", "id", "class")) -> None:
    with (folder / "nuclei.csv").open("w", newline="") as file:
        csv.writer(file).writerows([titles, *rows])


@pytest.fixture
def rows(tmp_path: Path) -> list[tuple[object, ...]]:
    """A row for each nucleus of eight drawn pairs, whose masks have 16 bits."""
    truths = drawn.draw(tmp_path / "images", classes=3)
    drawn.save(tmp_path / "masks", truths, drawn.numbered)
    return [
        (f"{name}.png", number + 300, NAMES[truth.codes[truth.numbers == number].max()])
        for name, truth in truths.items()
        for number in np.unique(truth.numbers[truth.numbers > 0])
    ]


def test_class_and_instance_maps_are_those_of_another_reading(
    tmp_path: Path, rows: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [*rows, ("elsewhere.png", 1, "tumour"), ("p1_0.png", 9, "tumour")])
    found = tiles(tmp_path, **INSTANCES)
    with (tmp_path / "nuclei.csv").open(newline="") as file:
        table = {(row["image"], int(row["id"])): row["class"] for row in csv.DictReader(file)}
    for tile in found:
        mask = np.asarray(Image.open(tmp_path / f"masks/{tile.slide}.png")).astype(np.int64)
        expected = np.zeros(mask.shape, np.uint8)
        for region in regionprops(mask):
            code = NAMES.index(table[f"{tile.slide}.png", region.label])
            expected[tuple(region.coords.T)] = code
            (number,) = np.unique(tile.instance_map[tuple(region.coords.T)])
            assert number > 0 and tile.nuclei[number] == code
            assert (tile.instance_map == number).sum() == region.area
        assert np.array_equal(tile.class_map, expected) and np.array_equal(tile.instance_map > 0, mask > 0)
    told = capsys.readouterr().out
    whole = len(rows) + 2
    assert f"nuclei.csv: found {whole} rows = used {whole - 1} + left out 1 (of no image here: elsewhere)" in told
    assert "rows of p1_0 are of no nucleus in its mask" in told


def test_a_sheet_with_other_titles_and_codes_for_classes(tmp_path: Path, rows: list[tuple[object, ...]]) -> None:
    write(tmp_path, rows)
    expected = [tile.class_map for tile in tiles(tmp_path, **INSTANCES)]
    book = openpyxl.Workbook()
    book.active.append(["Name", "File name", "Nucleus ID", "Cell type"])
    for image, number, name in rows:
        book.active.append(["x", str(image).removesuffix(".png"), float(str(number)), NAMES.index(str(name))])
    book.save(tmp_path / "nuclei.xlsx")
    found = tiles(tmp_path, values="instances", class_table="nuclei.xlsx")
    assert all(np.array_equal(a.class_map, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[1:], r"nuclei.csv has no row of nucleus 301 in .*p1_0.png; add it"),
        (lambda rows: [*rows, (*rows[0][:2], "stroma"), (*rows[0][:2], "tumour")], "gives nucleus 301 of p1_0.png two"),
        (lambda rows: [(*rows[0][:2], "gland"), *rows[1:]], "calls nucleus 301 of p1_0 'gland', which is none of the"),
        (lambda rows: [(*rows[0][:2], "background"), *rows[1:]], "calls nucleus 301 of p1_0 'background', which is"),
        (lambda rows: [(rows[0][0], "x", "tumour"), *rows[1:]], "row 2 has the image 'p1_0.png', the id 'x' and the"),
        (lambda rows: [(rows[0][0], 301, ""), *rows[1:]], "row 2 has the image 'p1_0.png', the id '301' and the"),
        (lambda rows: [], "has no rows with an image, an id and a class; give columns that are called so"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, rows: list[tuple[object, ...]], change, words: str) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path, change(rows))
    with pytest.raises(Problem, match=words):
        tiles(tmp_path, **INSTANCES)


def test_two_columns_of_one_meaning(tmp_path: Path) -> None:
    write(tmp_path, [("a", 1, 1, "x")], ("image", "id", "label", "class"))
    with pytest.raises(Problem, match="has several columns of one meaning, 'id' and 'label'"):
        read_rows(tmp_path / "nuclei.csv")


Tables = st.dictionaries(
    st.tuples(st.sampled_from(["a", "s/b", "c d"]), st.integers(1, 2**31 - 1)),
    st.sampled_from(["tumour", "Immune cell", "7"]),
    min_size=1,
)


@settings_of_test(max_examples=30, deadline=None)
@given(Tables, st.permutations(range(3)), st.sampled_from(",;\t"))
def test_rows_come_back(table: dict[tuple[str, int], str], order: list[int], separator: str) -> None:
    titles = ("image", "id", "class")
    lines = [titles, *((f"{image}.tif", str(number), text) for (image, number), text in table.items())]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_text("\n".join(separator.join(line[at] for at in order) for line in lines))
        found = read_rows(path)
    assert {(image, number): text for image, rows in found.items() for number, text in rows.items()} == table


def test_classes_by_name_and_by_value() -> None:
    classes: dict[str, int | str] = {"none": 0, "immune_cell": 3, "tumour": "1, 2"}
    assert [code_of(text, classes) for text in ("Immune cell", "2.0", "3", "TUMOUR", "none", "4")] == [
        1,
        2,
        1,
        2,
        0,
        None,
    ]
