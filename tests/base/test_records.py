"""What one stage writes another reads, and what it cannot read is one sentence."""

import json
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.base.records import Leaks, Record, Speed
from tests.records import RECORDS


def test_every_record_is_among_them() -> None:
    assert {type(record) for record in RECORDS} == set(Record.__subclasses__())


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_survives_its_file(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    record.write(path)
    assert type(record).read(path) == record
    first = path.read_bytes()
    assert first.endswith(b"}\n") and json.loads(first)["format"] == record.format
    type(record).read(path).write(path)
    assert path.read_bytes() == first


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_that_cannot_be_read_is_one_sentence(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "record.json"

    def refused(content: bytes) -> str:
        path.write_bytes(content)
        with pytest.raises(Problem) as problem:
            type(record).read(path)
        assert "\n" not in str(problem.value)
        return str(problem.value)

    record.write(path)
    whole, raw = path.read_bytes(), json.loads(path.read_bytes())
    del raw["crc32"]
    broken = f"{path} is broken or of another version of Lobule"
    assert refused(whole[: len(whole) // 2]).startswith(broken)
    assert refused(b"").startswith(broken)
    assert refused(b"\xff").startswith(broken)
    assert refused(json.dumps([raw]).encode()).startswith(broken)
    assert refused(json.dumps(raw | {"format": raw["format"] + 1}).encode()).startswith(broken)
    assert refused(json.dumps(raw | {"new": 1}).encode()).endswith("; run `dvc repro` again.")
    last = next(name for name in reversed(raw) if type(record).model_fields[name].is_required())
    assert refused(json.dumps({key: value for key, value in raw.items() if key != last}).encode()).startswith(broken)


def test_a_changed_value_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    RECORDS[4].write(path)
    raw = json.loads(path.read_bytes())
    path.write_text(json.dumps(raw | {"seconds": raw["seconds"] + 1}))
    with pytest.raises(Problem, match=r"speed\.json is damaged; `lobule doctor` says what to remove"):
        type(RECORDS[4]).read(path)
    del raw["crc32"]  # as a person would write it
    path.write_text(json.dumps(raw))
    assert type(RECORDS[4]).read(path) == RECORDS[4]


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"leaks\.json is missing; run `dvc repro` so that it is written\."):
        Leaks.read(tmp_path / "leaks.json")


def test_a_folder_in_the_place_of_a_record_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"cannot be read \(Is a directory\); run `dvc repro` again"):
        Speed.read(tmp_path)
