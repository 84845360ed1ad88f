"""What a model has seen stands in its record, and no study starts from weights that saw what it tests with."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.base.paths import variant_folder
from pipeline.base.records import Model, Seen
from pipeline.models import build, weights
from pipeline.tasks.segmentation.learn import prepare
from pipeline.tiles.plan import COLUMNS
from pipeline.tiles.store import ShardInfo
from pipeline.training import passport
from pipeline.training.passport import as_ranges, check_first, from_ranges, joined, seen
from tests.records import MODEL
from tests.tiny_study import CLASSES, STUDY, job_of, make_tiny_study

REAL = ShardInfo("one", CLASSES, 0.25, 40.0, "official", "1" * 64, "CC BY 4.0", "", "")
SEEN = Seen(dataset="one", sha256="1" * 64, shards=["a"], patients=["7"], tiles={"a": "0-2"})


@given(st.sets(st.integers(0, 60)))
def test_ranges_give_back_the_numbers(numbers: set[int]) -> None:
    assert from_ranges(as_ranges(numbers)) == sorted(numbers)


def test_ranges_are_short() -> None:
    assert (as_ranges([4, 0, 1, 2, 2, 7, 8]), as_ranges([])) == ("0-2,4,7-8", "")


def plan(*rows: tuple[str, int, str, str]) -> pd.DataFrame:
    """Rows of shard, index, patient and side, of the data set `one`."""
    filled = [("one", shard, index, who, "", 0, 0, 0.25, side, 0, "{}") for shard, index, who, side in rows]
    return pd.DataFrame(filled, columns=list(COLUMNS))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The data set `one` is a real one."""
    monkeypatch.setattr(passport, "_source", lambda rows: REAL)
    return monkeypatch


@pytest.mark.usefixtures("store")
def test_what_was_seen_is_what_is_not_tested_with() -> None:
    rows = plan(("a", 0, "7", "train"), ("a", 0, "7", "train"), ("a", 3, "TCGA-AB-0001-x", "validation"))
    (found,) = seen(pd.concat([rows, plan(("b", 1, "8", "test"))]))
    assert (found.shards, found.tiles, found.sample) == (["a"], {"a": "0,3"}, False)
    assert found.patients == ["7", "TCGA-AB-0001", "TCGA-AB-0001-x"]


def test_what_two_trainings_saw_of_one_source_is_one_entry() -> None:
    other = SEEN.model_copy(update={"shards": ["b"], "patients": ["8"], "tiles": {"a": "3", "b": "1"}})
    newer = SEEN.model_copy(update={"sha256": "2" * 64})
    both, apart = joined([SEEN, newer, other])
    assert (both.shards, both.patients, both.tiles) == (["a", "b"], ["7", "8"], {"a": "0-3", "b": "1"})
    assert apart == newer


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("part", "row", "said"),
    [
        (SEEN, ("a", 1, "", "test"), "tiles 1 of one a"),
        (SEEN, ("b", 1, "7", "test"), "patient 7 of one"),
        (SEEN.model_copy(update={"tiles": {}}), ("a", 9, "", "test"), "tiles 9 of one a"),
        (SEEN.model_copy(update={"sha256": "2" * 64}), ("b", 1, "7", "test"), "patient 7 of one"),
        (
            Seen(dataset="two", sha256="3" * 64, shards=["x"], patients=["TCGA-AB-0001"]),
            ("b", 1, "TCGA-AB-0001-01Z", "test"),
            "patient TCGA-AB-0001 of one",
        ),
    ],
)
def test_weights_that_saw_what_is_tested_are_refused(part: Seen, row: tuple[str, int, str, str], said: str) -> None:
    rows = plan(("c", 0, "9", "train"), row)
    with pytest.raises(Problem, match=f"^the weights x.safetensors were trained on .* tests with \\({said}\\)"):
        check_first(rows, [part], "x.safetensors")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("part", "row"),
    [
        (SEEN, ("a", 3, "", "test")),
        (SEEN, ("b", 1, "8", "test")),
        (SEEN, ("a", 1, "7", "train")),
        (Seen(dataset="two", sha256="3" * 64, shards=["a"], patients=["7"]), ("a", 1, "7", "test")),
        (SEEN.model_copy(update={"sha256": "2" * 64, "sample": True}), ("a", 1, "7", "test")),
        (SEEN.model_copy(update={"sha256": "2" * 64}), ("a", 1, "", "test")),
    ],
)
def test_what_they_did_not_see_is_no_reason(part: Seen, row: tuple[str, int, str, str]) -> None:
    check_first(plan(("c", 0, "9", "train"), row), [part], "x.safetensors")


@pytest.mark.usefixtures("store")
def test_a_patient_whom_the_split_itself_parts_is_told_by_the_guard() -> None:
    check_first(plan(("b", 0, "7", "train"), ("b", 1, "7", "test")), [SEEN], "x.safetensors")
    with pytest.raises(Problem, match=r"\(tiles 1 of one a\)"):
        check_first(plan(("b", 0, "7", "train"), ("a", 1, "7", "test")), [SEEN], "x.safetensors")


def start_from(folder: Path, told: Model | None) -> str:
    """First weights in a folder, with a model.json that tells of them or without."""
    folder.mkdir()
    path = folder / "model.safetensors"
    weights.save(build("resnet18", 3, 8, [32, 16, 8]), path)
    if told:
        told.model_copy(update={"sha256": weights.checksum(path)}).write(folder / "model.json")
    return str(path)


@pytest.mark.parametrize("tiles", ["fold1", "fold3", None])
def test_a_study_starts_from_weights_that_did_not_see_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiles: str | None
) -> None:
    before = Seen(dataset="pannuke", sha256="a" * 64, shards=[tiles or ""], patients=[], tiles={tiles or "": "0-3"})
    told = MODEL.model_copy(update={"licence": "CC0 1.0; X", "trained_on": [before]}) if tiles else None
    path = start_from(tmp_path / "first", told)
    make_tiny_study(tmp_path, model__weights=path)
    monkeypatch.chdir(tmp_path)
    job = job_of("resnet18")
    if tiles == "fold3":
        with pytest.raises(Problem, match=r"tests with \(tiles 0-3 of pannuke fold3\)"):
            prepare(job)
        assert not variant_folder(STUDY, 1, 42, "resnet18", "plain").exists()
        return
    record = prepare(replace(job)).model
    (found,) = record.trained_on
    assert found.tiles == {"fold1": "0-7", "fold2": "0-7"} and found.sample
    assert (record.first_known, record.licence) == (
        (True, "CC0 1.0; X; none: drawn tiles") if tiles else (False, "none: drawn tiles")
    )
