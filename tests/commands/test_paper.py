"""`make paper` changes values and nothing else."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.commands.paper import PAPER, apply

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml"))


def test_the_papers_values_are_valid_and_set(params: Path) -> None:
    apply(params, PAPER)
    study = read_params(params).pannuke
    assert (study.tile_size, study.model.width, study.model.weights) == (128, 64, "imagenet")
    assert study.runs.numbers == [1, 2, 3]
    assert read_params(params).datasets["pannuke"].source == "official"


def test_all_fourteen_variants_of_tnbc_are_compared(params: Path) -> None:
    apply(params, PAPER)
    study = read_params(params).tnbc
    assert study.compare == list(study.variants) and len(study.compare) == 14
    built = {(study.of(name)[0], study.of(name)[1].model.weights) for name in study.compare[2:]}
    encoders = ("resnet50", "resnet101", "resnext50_32x4d", "resnext101_32x8d", "densenet121", "densenet201")
    assert built == {(encoder, weights) for encoder in encoders for weights in ("random", "imagenet")}
    assert [study.of(name)[0] for name in study.compare[:2]] == ["unet", "unet-bn"]
    assert (study.tile_size, study.train.epochs, study.train.batch, study.train.learning_rate) == (512, 20, 3, 0.0001)


def test_comments_and_untouched_lines_stay(params: Path) -> None:
    before = params.read_text().splitlines()
    changes = apply(params, PAPER)
    after = params.read_text().splitlines()
    assert len(before) == len(after)
    assert [line.partition("#")[2] for line in before] == [line.partition("#")[2] for line in after]
    assert sum(old != new for old, new in zip(before, after, strict=True)) == len(changes)


def test_a_second_time_changes_nothing(params: Path) -> None:
    apply(params, PAPER)
    text = params.read_text()
    assert apply(params, PAPER) == []
    assert params.read_text() == text


def test_a_value_that_is_not_allowed_leaves_the_file(params: Path) -> None:
    text = params.read_text()
    with pytest.raises(Problem):
        apply(params, {"pannuke.train.epochs": -1})
    assert params.read_text() == text


def test_every_key_is_in_the_file() -> None:
    raw = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    for key in PAPER:
        block = raw
        for name in key.split("."):
            block = block[name]
