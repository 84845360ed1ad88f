"""params.yaml is read whole or refused with a sentence that names the key and the cure."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.base.errors import Problem
from pipeline.base.params import Params, parse_params, read_params

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


def test_the_committed_file_is_valid() -> None:
    assert isinstance(read_params(ROOT / "params.yaml"), Params)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("encodr", "vgg19", "encodr is not a known key (did you mean encoder?)"),
        ("pannuke.train.epcohs", 3, "pannuke.train.epcohs is not a known key (did you mean epochs?)"),
        ("pannuke.train.epochs", 0, "pannuke.train.epochs is 0 but should be greater than 0"),
        ("pannuke.train.epochs", "ten", "pannuke.train.epochs is 'ten' but should be a valid integer"),
        ("pannuke.train.learning_rate", float("nan"), "pannuke.train.learning_rate"),
        ("pannuke.runs.second", 4, "pannuke.runs.second is 4 but should be 1, 2 or 3"),
        ("pannuke.split.fractions", [0.5, 0.2, 0.2], "must add up to 1, not 0.9"),
        ("pannuke.augment.factor", 7, "too few for a factor of 7"),
        ("pannuke.augment.transforms", ["rotate90", "rotate90"], "must not name a transform twice"),
        ("pannuke.augment.transforms", ["rotate30"], "pannuke.augment.transforms.0 is 'rotate30'"),
        (
            "pannuke.train.loss",
            {"cross_entropy": 0, "dice": 0, "focal": 0, "smooth": 1, "dice_background": True},
            "at least one term",
        ),
        ("datasets.bracs.tiling.stride", 0, "datasets.bracs.tiling.stride is 0 but should be greater than 0"),
        ("bracs.split.by", "slide", "bracs.split.by is 'slide' but should be 'official', 'random', 'group', 'tile'"),
        ("pannuke.train.class_weights", [1.0, 2.0], "2 values in train.class_weights for 6 classes"),
        ("bcss.ignore", ["exclud"], "bcss ignores 'exclud', which is none of its classes"),
        ("bracs.predict.probabilities", False, "bracs has a target and predict.probabilities false"),
        ("bracs.predict.splits", ["validation"], "bracs.predict.splits.0 is 'validation'"),
        ("bracs.classifier.epochs", 0, "bracs.classifier.epochs is 0"),
        ("bach.augment.factor", {"normal": 9.5}, "too few for a factor of 10"),
        ("bach.augment.factor", 0, "bach.augment.factor is 0"),
        ("pannuke.datasets", ["kumar"], "names the data set 'kumar'"),
        ("datasets.kumar", {"source": "sample"}, "datasets.kumar"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any, words: str) -> None:
    with pytest.raises(Problem) as problem:
        parse_params(changed(key, value))
    assert words in str(problem.value)
    assert "params.yaml" in str(problem.value)


def test_a_missing_key_is_named() -> None:
    raw = copy.deepcopy(RAW)
    del raw["pannuke"]["train"]["epochs"]
    with pytest.raises(Problem, match=r"pannuke\.train\.epochs is missing; add it"):
        parse_params(raw)


def test_every_wrong_value_is_named_once() -> None:
    raw = changed("pannuke.runs.first", 4)
    raw["seed"] = -1
    with pytest.raises(Problem) as problem:
        parse_params(raw)
    assert len(str(problem.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["encoder: [", "a: b: c", "\t"])
def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(Problem, match=r"params\.yaml is not valid YAML"):
        read_params(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"params\.yaml is missing"):
        read_params(tmp_path / "params.yaml")


def test_an_unknown_study_is_named() -> None:
    with pytest.raises(Problem, match="no study named 'kumar'; it has pannuke"):
        read_params(ROOT / "params.yaml").study("kumar")


def test_a_variant_is_the_study_with_its_changes() -> None:
    study = parse_params(RAW).tnbc
    encoder, changed_study = study.of("resnet50-imagenet")
    assert encoder == "resnet50"
    assert (study.model.weights, changed_study.model.weights) == ("random", "imagenet")
    assert changed_study.model.model_copy(update={"weights": "random"}) == study.model
    assert changed_study.train == study.train


def test_a_plain_encoder_changes_nothing() -> None:
    study = parse_params(RAW).pannuke
    assert study.of("vgg19") == ("vgg19", study)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ({"model": {"width": 8}}, "tnbc names no encoder in variants.mine; give it one"),
        ({"encoder": "unet", "model": {"widht": 8}}, "model.widht is not a known key"),
        ({"encoder": "unet", "train": {"epochs": 0}}, "train.epochs is 0 but should be greater than 0"),
    ],
)
def test_a_wrong_variant_is_named(variant: dict[str, Any], words: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_params(changed("tnbc.variants", {"mine": variant}))
    assert "variants.mine" in str(caught.value)
    assert words in str(caught.value)


def test_a_study_without_seeds_trains_with_the_top_level_one() -> None:
    params = parse_params(changed("tnbc.seeds", {"first": 5, "second": 6, "third": 5}))
    assert (params.seeds("tnbc"), params.seeds("pannuke")) == ([5, 6], [params.seed])


def test_a_run_that_is_named_again_counts_once() -> None:
    raw = changed("pannuke.runs", {"first": 2, "second": 1, "third": 2})
    assert parse_params(raw).pannuke.runs.numbers == [2, 1]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_whatever_comes_is_refused_with_a_sentence(raw: Any) -> None:
    with pytest.raises(Problem):
        parse_params(raw)
