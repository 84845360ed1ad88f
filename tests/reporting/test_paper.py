"""paper.yaml: what it names exists, and what is said of a study that differs from it."""

import shutil
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.base.study import read_study, study_names
from pipeline.reporting.paper import MACHINE, Paper, differences, headline, look_up, read_paper
from pipeline.reporting.published import Published
from tests.fabricated import change

ROOT = Path(__file__).parents[2]
STUDIES = [name for name in study_names(ROOT) if (ROOT / "studies" / name / "paper" / "paper.yaml").exists()]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The parameters of the project and of its studies, to be changed."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "studies", tmp_path / "studies", ignore=shutil.ignore_patterns("dvc.*"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paper_of(study: str) -> Paper:
    found = read_paper(study)
    assert found is not None
    return found


@pytest.mark.parametrize("study", STUDIES)
def test_what_a_paper_names_exists(study: str) -> None:
    paper, settings = paper_of(study), read_study(study)
    for key in (*paper.sets, *paper.prints):
        look_up(settings.model_dump(mode="json"), key)
    for key in paper.project:
        look_up(read_params().model_dump(mode="json"), key)
    assert set(paper.unstated) <= set(paper.sets)
    assert not set(paper.sets) & set(paper.prints)
    tables = set(Published.of(study).rows["table"])
    assert {paper.table, *paper.tables.values()} <= tables
    assert set(paper.names) <= set(settings.variants)
    assert paper.score in paper.printed


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_with_its_papers_parameters_is_valid_and_differs_by_what_parameters_cannot_say(study: str) -> None:
    paper = paper_of(study)
    change(Path("studies") / study / "params.yaml", paper.sets)
    change(Path("params.yaml"), paper.project)
    left = differences(paper, read_study(study), read_params(), sample=False)
    assert [clause for clause in left if clause not in paper.differs] == [
        clause for clause in left if any(clause.startswith(f"`{key}`") for key in paper.prints)
    ]


def test_only_what_changes_a_figure_and_is_stated_differs() -> None:
    paper, path = paper_of("pannuke"), Path("studies/pannuke/params.yaml")
    change(path, paper.sets)
    change(path, dict.fromkeys(MACHINE[:2], 1) | {"train.epochs": 7, "tile_size": 64, "compare": ["encoder"]})
    found = differences(paper, read_study("pannuke"), read_params(), sample=True)
    assert found == ["the tiles are synthetic", "`tile_size` is 64, the paper's is 128"]


def test_how_many_seeds_there_are_counts_and_not_which() -> None:
    paper = paper_of("tnbc")
    few = differences(paper, read_study("tnbc"), read_params(), sample=False)
    assert "`seeds` are 3, the paper's are 10" in few
    change(Path("studies/tnbc/params.yaml"), {"seeds": list(range(10))})
    assert not any("seeds" in clause for clause in differences(paper, read_study("tnbc"), read_params(), sample=False))


def test_a_study_without_a_paper_is_put_by_the_usual_score_of_its_task() -> None:
    for study in STUDIES:
        shutil.rmtree(Path("studies") / study / "paper")
    assert read_paper("pannuke") is None
    scores = {name: headline(read_study(name)).score for name in ("pannuke", "bracs", "bach")}
    assert scores == {"pannuke": "mean_iou", "bracs": "dice_macro_no_background", "bach": "accuracy"}
    assert differences(headline(read_study("pannuke")), read_study("pannuke"), read_params(), sample=False) == []


def test_a_wrong_key_is_refused_with_its_file() -> None:
    path = Path("studies/pannuke/paper/paper.yaml")
    path.write_text(path.read_text() + "citation: none\n")
    with pytest.raises(Problem, match=r"studies/pannuke/paper/paper\.yaml: citation is not a known key"):
        read_paper("pannuke")
