"""The report of study bcss: no background, no nuclei, named variants, a published table and its ten epochs."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline.datasets.bcss.card import CARD
from pipeline.reporting import scoring
from tests import fabricated

VARIANTS = ("resnet34-frozen", "resnet34", "resnet50")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with all variants predicted, scored by the evaluate stage and reported."""
    folder = tmp_path_factory.mktemp("bcss")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(fabricated, "STUDY", "bcss")
        patch.setattr(fabricated, "CLASSES", list(CARD.classes))
        for name in ("REPEATS", "PAIRED", "RANKED"):
            patch.setattr(scoring, name, 200)
        fabricated.make_params()
        fabricated.make_tiles("sample")
        for rank, name in enumerate(VARIANTS):
            fabricated.make_evaluation(name, "plain", noise=0.1 + 0.2 * rank)
        fabricated.make_evaluation("commonest", "plain", 0)
        fabricated.write_report()
    return folder


@pytest.fixture(scope="module")
def page(project: Path) -> str:
    return (project / "reports/bcss.md").read_text(encoding="utf-8")


def test_the_page_is_whole_and_warns(page: str) -> None:
    assert "Synthetic tiles" in page.splitlines()[0]
    assert not re.search(r"\{\{|\{%|\bnan\b|None|Undefined", page)
    for table in re.findall(r"(?:^\|.*\n)+", page, re.M):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_what_the_page_shows_is_there(project: Path, page: str) -> None:
    shown = re.findall(r"!\[.*?\]\((.*?)\)", page)
    assert {Path(name).name for name in shown} >= {"first.png", "confusion.png", "losses.png", "ranking.png"}
    for name in shown:
        assert Image.open(project / "reports" / name).size[0] > 400
    assert not (project / "reports/bcss/best.png").exists()


def test_the_published_table_and_epochs_stand_beside_ours(page: str) -> None:
    proposed = "| resnet34-frozen | **U-Net + ResNet34 (proposed)**"
    row = next(line for line in page.splitlines() if line.startswith(proposed))
    assert "| 0.954 |" in row
    tumor = next(line for line in page.splitlines() if line.startswith("| resnet34-frozen |") and "0.9205" in line)
    assert "| 0.945 |" in tumor and "| 0.918 |" in tumor
    assert re.search(r"^\| 10 \| – \| 0\.750 \|.*\| 0\.955 \|$", page, re.M)  # ours had but four epochs
    assert re.search(r"^\| 1 \| 1\.000 \| 1\.485 \|", page, re.M)


def test_ignored_classes_have_no_row_and_rare_ones_no_score(project: Path, page: str) -> None:
    table = page.split("## Every tissue")[1]
    assert "| exclude |" not in table and "| undetermined |" not in table
    counts = pd.read_csv(project / "reports/bcss/counts.csv")
    code = CARD.classes.index("exclude")
    assert not counts[[f"c{code}_{other}" for other in range(21)]].to_numpy().any()
    assert "| nerve |" not in table and re.search(r"and so no score: .*\bnerve \(0\)", table)


def test_the_floor_is_the_commonest_class(project: Path, page: str) -> None:
    scores = pd.read_csv(project / "reports/bcss/scores.csv").set_index("variant")
    assert 0.2 < scores.loc["commonest", "pixel_accuracy"] < scores.loc["resnet34-frozen", "pixel_accuracy"]
    expected = 1 - 2 * (1 - scores["pixel_accuracy"]) / len(CARD.classes)
    pd.testing.assert_series_equal(scores["accuracy_one_vs_rest"], expected, check_names=False)
    assert "*the commonest class everywhere*" in page


def test_a_study_without_baselines_has_a_page(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(project, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setattr(fabricated, "STUDY", "bcss")
    for name in ("REPEATS", "PAIRED", "RANKED"):
        monkeypatch.setattr(scoring, name, 200)
    fabricated.change_study({"baselines": []})
    page = fabricated.write_report()
    assert "**Without any model**" in (project / "reports/bcss.md").read_text(encoding="utf-8")
    assert "**Without any model**" not in page and "## In short" in page
