"""The project's params.yaml is read whole or refused with a sentence that names the key and the cure."""

import copy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.base.errors import Problem
from pipeline.base.params import Params, Tiling, own_folder, read_params
from pipeline.base.schema import parse

ROOT = Path(__file__).parents[2]
RAW = YAML(typ="safe").load((ROOT / "params.yaml").read_text())


def changed(key: str, value: Any) -> Any:
    raw = copy.deepcopy(RAW)
    *blocks, last = key.split(".")
    block = raw
    for name in blocks:
        block = block[name]
    block[last] = value
    return raw


def refused(raw: Any) -> str:
    with pytest.raises(Problem) as problem:
        parse(Params, raw, "params.yaml")
    assert str(problem.value).startswith("params.yaml: ")
    return str(problem.value)


def test_the_committed_file_is_valid() -> None:
    assert isinstance(read_params(ROOT / "params.yaml"), Params)


def test_it_holds_no_list_so_that_dvc_changes_one_line_of_it() -> None:
    def lists(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [found for inner in value.values() for found in lists(inner)]
        return [value] if isinstance(value, list) else []

    assert lists(RAW) == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("encodr", "vgg19", "encodr is not a known key (did you mean encoder?)"),
        ("encoder", 19, "encoder is 19 but should be a valid string"),
        ("seed", -1, "seed is -1 but should be greater than or equal to 0"),
        ("seed", True, "seed is True but should be a valid integer"),
        ("datasets.bracs.tiling.stride", 0, "datasets.bracs.tiling.stride is 0 but should be greater than 0"),
        ("datasets.bracs.tiling.tile_size", 16, "datasets.bracs.tiling.tile_size is 16"),
        ("datasets.bracs.tiling.lesion_free", float("inf"), "datasets.bracs.tiling.lesion_free"),
        ("datasets.bracs.tiling.microns_per_pixel", 0, "datasets.bracs.tiling.microns_per_pixel"),
        ("datasets.bracs.tiling.microns_per_pixel", "tags", "datasets.bracs.tiling.microns_per_pixel is 'tags'"),
        ("datasets.bracs.tiling.slide_microns_per_pixel", 1e-9, "should be greater than or equal to 0.01"),
        ("datasets.bracs.tiling.slide_microns_per_pixel", "full", "slide_microns_per_pixel is 'full'"),
        ("datasets.pannuke.source", "", "datasets.pannuke.source is ''"),
        ("datasets.pannuke", "sample", "datasets.pannuke is 'sample'"),
        ("sample", [7], "sample is [7]"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any, words: str) -> None:
    assert words in refused(changed(key, value))


@pytest.mark.parametrize("key", ["encoder", "seed", "datasets", "sample"])
def test_a_missing_key_is_named(key: str) -> None:
    assert f"{key} is missing; add it" in refused({name: value for name, value in RAW.items() if name != key})


def test_every_wrong_value_is_named_once() -> None:
    assert len(refused(changed("seed", -1) | {"encoder": 1}).splitlines()) == 2


def test_words_stand_for_what_is_not_given() -> None:
    tiling = Tiling.model_validate({"microns_per_pixel": "full", "slide_microns_per_pixel": "tags"})
    assert (tiling.microns_per_pixel, tiling.slide_microns_per_pixel) == (None, None)
    given = Tiling(microns_per_pixel=0.5, slide_microns_per_pixel=0.26)
    assert (given.microns_per_pixel, given.slide_microns_per_pixel) == (0.5, 0.26)


@pytest.mark.parametrize(
    ("slides", "names"), [("all", []), ("1494", ["1494"]), (" 1494, 1496 ,", ["1494", "1496"]), ("", [])]
)
def test_slides_are_named_with_commas_between_them(slides: str, names: list[str]) -> None:
    assert Tiling(slides=slides).names == names


def test_a_source_that_dvc_would_delete_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw/mine").mkdir(parents=True)
    with pytest.raises(Problem, match="DVC empties"):
        own_folder("pannuke", "data/raw/mine")
    (tmp_path / "mine").mkdir()
    assert own_folder("pannuke", "mine") == tmp_path / "mine"
    assert own_folder("pannuke", "sample") is None
