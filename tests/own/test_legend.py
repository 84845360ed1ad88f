"""Legends as people write them."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.datasets.masks.meaning import values_of
from pipeline.own.legend import read_legend

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,8}[A-Za-z]", fullmatch=True)
LEGENDS = st.dictionaries(st.integers(0, 0xFFFFFF), NAMES, min_size=2, max_size=12).filter(
    lambda legend: len(set(legend.values())) > 1
)


def read(text: str) -> dict[str, int | str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "legend.csv")
        path.write_text(text, encoding="utf-8-sig")
        return read_legend(path)


def meant(classes: dict[str, int | str]) -> dict[int, str]:
    return {value: name for name, text in classes.items() for value in values_of(text)}


@given(LEGENDS, st.sampled_from(",;\t"), st.booleans(), st.booleans())
def test_codes_come_back_whichever_column_they_are_in(
    legend: dict[int, str], delimiter: str, header: bool, name_first: bool
) -> None:
    rows = [(name, str(value)) if name_first else (str(value), name) for value, name in legend.items()]
    rows = [("name", "value")] * header + rows
    assert meant(read("\n".join(delimiter.join(row) for row in rows))) == legend


@given(LEGENDS)
def test_colours_come_back_in_every_spelling(legend: dict[int, str]) -> None:
    spellings = (
        "\n".join(f"#{value:06X},{name}" for value, name in legend.items()),
        "\n".join(f"{value >> 16},{value >> 8 & 255},{value & 255},{name}" for value, name in legend.items()),
        json.dumps({f"#{value:06x}": name for value, name in legend.items()}),
    )
    for text in spellings:
        assert meant(read(text)) == legend


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,a\n1,b\n", "gives 1 two names, a and b"),
        ("1,a\n", "names 1 classes; give at least two"),
        ("", "names 0 classes"),
        ("1,a\n#ff0000,2\n", "the line of '#ff0000' is not a value and a name"),
        ("{1: 2}", "is no JSON"),
        ('{"a":' * 100_000, "is no JSON"),
        (f'1,"{"a" * 200_000}', "is no legend (field larger than field limit (131072))"),
        ("1,a\n2,b|c\n", "calls a class 'b|c'; give it letters, digits, dots, underscores and hyphens, such as b_c"),
    ],
)
def test_a_legend_that_cannot_be_used(text: str, words: str) -> None:
    with pytest.raises(Problem) as problem:
        read(text)
    assert words in str(problem.value)
