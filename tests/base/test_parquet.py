"""Rows of an evaluation come back as they were, names and numbers, or are refused."""

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import Problem
from pipeline.base.parquet import read_rows, write_rows

NAMES = ["NA", "None", "0012", "12", "1e5", ""]


@pytest.fixture
def table() -> pd.DataFrame:
    numbers = np.random.default_rng(0).integers(0, 1000, 600)
    return pd.DataFrame({"patient": NAMES * 100, "index": np.arange(600), "c0_0": numbers, "score": numbers / 7})


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path: Path, table: pd.DataFrame) -> None:
    write_rows(tmp_path / "counts.parquet", table.iloc[::-1])
    pd.testing.assert_frame_equal(read_rows(tmp_path / "counts.parquet"), table.iloc[::-1].reset_index(drop=True))


def test_the_same_rows_are_the_same_bytes(tmp_path: Path, table: pd.DataFrame) -> None:
    write_rows(tmp_path / "one.parquet", table)
    write_rows(tmp_path / "other.parquet", read_rows(tmp_path / "one.parquet"))
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "other.parquet").read_bytes()


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path, table: pd.DataFrame) -> None:
    path = tmp_path / "counts.parquet"
    write_rows(path, table)
    whole, chance, told = path.read_bytes(), random.Random(1), 0
    for _ in range(600):
        place = chance.randrange(len(whole))
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << chance.randrange(8)
        path.write_bytes(spoilt)
        try:
            found = read_rows(path)
        except Problem as problem:
            told += str(problem).startswith(f"{path} is damaged; `lobule doctor` says")
        else:  # a bit of what nothing reads, such as a page's statistics
            pd.testing.assert_frame_equal(found, table)
    assert told > 300


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"run,seed\n1,42\n"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counts.parquet").write_bytes(content)
    with pytest.raises(Problem, match=r"counts\.parquet is damaged"):
        read_rows(tmp_path / "counts.parquet")
    with pytest.raises(Problem, match=r"votes\.parquet is missing; run `dvc repro`"):
        read_rows(tmp_path / "votes.parquet")
