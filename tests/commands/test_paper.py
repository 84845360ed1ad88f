"""`lobule paper` changes values and nothing else."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline import commands
from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.base.study import AnyStudy, parse_study, read_study, study_names, variant
from pipeline.commands import paper
from pipeline.commands.paper import apply
from pipeline.reporting.paper import read_paper
from tests.fabricated import ROOT, run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The parameters of the project and of all studies, with their papers."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files() -> dict[Path, str]:
    return {path: path.read_text() for path in [Path("params.yaml"), *Path("studies").glob("*/params.yaml")]}


@pytest.mark.usefixtures("project")
def test_the_papers_values_are_valid_and_set(capsys: pytest.CaptureFixture[str]) -> None:
    run(commands.main, "paper")
    study: AnyStudy = read_study("pannuke")
    assert (study.tile_size, study.model.width, study.model.weights, study.runs) == (128, 64, "imagenet", [1, 2, 3])
    assert read_params().datasets["pannuke"].source == "official"
    assert "Still drawn, since no program can download them: bcss, bracs." in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_all_fourteen_variants_of_tnbc_are_compared() -> None:
    run(commands.main, "paper", "tnbc")
    study = read_study("tnbc")
    assert study.compare == list(study.variants) and len(study.compare) == 14
    built = {(variant(study, name)[0], variant(study, name)[1].model.weights) for name in study.compare[2:]}
    encoders = ("resnet50", "resnet101", "resnext50_32x4d", "resnext101_32x8d", "densenet121", "densenet201")
    assert built == {(encoder, weights) for encoder in encoders for weights in ("random", "imagenet")}
    assert (study.tile_size, study.train.epochs, study.train.batch, study.train.learning_rate) == (512, 20, 3, 0.0001)
    assert read_study("pannuke").tile_size == 64 and read_params().datasets["pannuke"].source == "sample"


@pytest.mark.usefixtures("project")
def test_comments_and_untouched_lines_stay_and_a_second_time_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files()
    run(commands.main, "paper")
    changes = [line for line in capsys.readouterr().out.splitlines() if " -> " in line]
    after, changed = files(), 0
    for path, text in before.items():
        lines = list(zip(text.splitlines(), after[path].splitlines(), strict=True))
        assert [old.partition("#")[2] for old, _ in lines] == [new.partition("#")[2] for _, new in lines]
        changed += sum(old != new for old, new in lines)
    assert 40 < changed <= len(changes)  # some stand on one line
    run(commands.main, "paper")
    assert files() == after
    assert "hold the papers' values already" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_a_value_that_is_not_allowed_leaves_the_file() -> None:
    path, before = Path("studies/pannuke/params.yaml"), files()
    with pytest.raises(Problem, match=r"train\.epochs is -1 but should be greater than 0"):
        apply(path, {"tile_size": 96, "train.epochs": -1}, partial(parse_study, path=path))
    assert files() == before


@pytest.mark.parametrize("name", study_names(ROOT))
def test_every_key_of_a_paper_is_in_its_studys_file(name: str, project: Path) -> None:
    found = read_paper(name)
    assert found is not None
    values: Any = read_study(name).model_dump(mode="json")
    for key in found.sets:
        block = values
        for part in key.split("."):
            block = block[part]


@pytest.mark.usefixtures("project")
def test_a_study_without_a_paper_is_refused() -> None:
    shutil.rmtree("studies/bach/paper")
    with pytest.raises(Problem, match="the study bach rebuilds no paper"):
        paper.run(type("Words", (), {"study": ["bach"]})())
