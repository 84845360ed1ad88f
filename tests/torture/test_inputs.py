"""Spoilt inputs of every kind are read or refused in a sentence: some here, thousands by `make torture`."""

import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.torture import inputs
from tests.torture.reading import fault
from tests.torture.subjects import SUBJECTS, Subject
from tests.torture.table import Row

QUICK = [subject for subject in SUBJECTS if subject.name.endswith((".yaml", "study", "(csv)", "(JSON)", "(xlsx)"))]


@pytest.mark.parametrize("subject", QUICK, ids=lambda subject: subject.name)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore")
@given(seed=st.integers(0, 10**6))
def test_what_is_spoilt_is_read_or_refused(subject: Subject, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        valid, case = Path(name, "valid"), Path(name, "case/input")
        valid.mkdir()
        subject.make(valid)
        how = inputs.spoil(Random(seed), subject, valid, case)
        assert fault(subject, case) is None, how


def of(name: str, read: object) -> Subject:
    def make(folder: Path) -> None:
        (folder / "a.txt").write_text("1 2 3")

    return Subject(name, make, read)  # type: ignore[arg-type]


def boom(folder: Path, out: Path) -> None:
    raise KeyError("no sentence")


def test_a_traceback_is_a_fault(tmp_path: Path) -> None:
    assert "KeyError: " in (fault(of("boom", boom), tmp_path) or "")


def test_what_is_left_beside_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "case/input").mkdir(parents=True)
    assert inputs.beside(tmp_path) is None
    (tmp_path / "up.txt").touch()
    assert inputs.beside(tmp_path) == "wrote up.txt"


@pytest.mark.slow
@pytest.mark.parametrize("subject", [each for each in SUBJECTS if each not in QUICK], ids=lambda subject: subject.name)
def test_spoilt_files_of_data_sets_are_read_or_refused(subject: Subject) -> None:
    reader, row = inputs.Reader([subject]), Row("input", subject.name)
    try:
        inputs.of_subject(subject, reader, row, 10, seed=2)
    finally:
        reader.close()
    assert row.broken == []
