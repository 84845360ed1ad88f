"""The report and the front page: what they say, what they leave out, and that they are the same twice."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline import report, summary
from pipeline.errors import Problem
from pipeline.metrics import pixel
from tests import fabricated

PICTURES = {"best.png", "worst.png"}
FIGURES = {"ranking.png", "losses.png", "validation.png", "confusion.png"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with every variant evaluated and both stages run; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fabricated.make_project()
        fabricated.evaluate_all()
        fabricated.run(report.main, "pannuke", *fabricated.ENCODERS)
        fabricated.run(summary.main)
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


def page_of(folder: Path) -> str:
    return (folder / "reports" / "pannuke.md").read_text(encoding="utf-8")


def write(*others: str, figures: bool = False) -> str:
    """Run the report stage again, by default without its figures, which take the time, and give its page."""
    with pytest.MonkeyPatch.context() as patch:
        if not figures:
            patch.setattr(report, "draw_figures", lambda *arguments: None)
        fabricated.run(report.main, "pannuke", *fabricated.ENCODERS, *others)
    return page_of(Path())


def change(old: str, new: str, path: str = "params.yaml") -> None:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


def test_the_first_line_of_a_sample_report_warns(project: Path) -> None:
    first = page_of(project).splitlines()[0]
    assert "Synthetic tiles" in first and "random initial weights" in first and "mean nothing clinically" in first


def test_the_page_is_whole(project: Path) -> None:
    page = page_of(project)
    assert page.startswith("> ") and page.endswith("|\n")
    assert "{{" not in page and "{%" not in page and "None" not in page and "nan" not in page
    assert "\n\n\n" not in page
    for link in re.findall(r"\]\((pannuke/[^)]+)\)", page):
        assert Path("reports", link).is_file(), link
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({row.replace(r"\|", "").count("|") for row in table.splitlines()}) == 1, table


def test_ours_stand_beside_the_published_figures(project: Path) -> None:
    page = page_of(project)
    ours = pd.read_csv("reports/pannuke/scores.csv").set_index(["encoder", "augmentation"])
    vgg = ours.loc[("vgg19", "plain"), "mean_iou"]
    assert f"| U-Net + VGG19 | plain | {vgg:.3f} | 0.430 | −{0.430 - vgg:.3f} ‡ |" in page
    assert "‡ Not comparable: the tiles are synthetic" in page
    assert "| **U-Net + ResNet50** ◀ `encoder` | augmented |" in page
    assert "*HoVer-Net: detection F1*" in page and "not F1 of pixels" in page


def test_scores_of_few_nuclei_read_na(project: Path) -> None:
    page = page_of(project)
    assert "dead, n = 1" in page and "n/a" in page
    change("min_count: 3", "min_count: 0")
    assert " n/a |" not in write()


def test_a_variant_missing_is_one_sentence_and_leaves_the_old_report(project: Path) -> None:
    old = page_of(project)
    Path("models/pannuke/run1/seed42/vgg19-plain/evaluation/counts.csv").unlink()
    with pytest.raises(Problem, match=r"vgg19-plain/evaluation/counts\.csv is missing"):
        fabricated.run(report.main, "pannuke", *fabricated.ENCODERS)
    assert Path("reports/pannuke.md").read_text() == old


def test_an_encoder_that_the_paper_has_not_adds_a_row(project: Path) -> None:
    change("encoder: resnet50", "encoder: densenet121")
    for augmentation in ("plain", "augmented"):
        fabricated.make_variant("densenet121", augmentation, noise=0.5)
    fabricated.evaluate_all("densenet121")
    page = write("densenet121")
    row = next(line for line in page.splitlines() if line.startswith("| **U-Net + densenet121** ◀ `encoder` | plain"))
    assert row.split("|")[4:6] == [" – ", " – "]
    assert len(pd.read_csv("reports/pannuke/scores.csv")) == 14


def test_every_score_can_be_recomputed_from_the_counts(project: Path) -> None:
    counts = pd.read_csv("reports/pannuke/counts.csv")
    scores = pd.read_csv("reports/pannuke/scores.csv").set_index(["encoder", "augmentation"])
    for variant, images in counts.groupby(["encoder", "augmentation"]):
        found = pixel.score(images[pixel.columns(6)].to_numpy().reshape(-1, 6, 6), fabricated.CLASSES)
        for name in ("mean_iou", "dice_macro_no_background", "mean_iou_of_images"):
            assert scores.loc[variant, name] == pytest.approx(found[name], rel=1e-5)
        assert scores.loc[variant, "f1_dead"] == pytest.approx(found["per_class"]["dead"]["f1"], rel=1e-5)


def test_a_report_is_the_same_twice_and_only_one_section_knows_the_machine(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in Path("reports").rglob("*") if path.is_file()}

    first = everything()
    write(figures=True)
    assert everything() == first
    for path in Path("models").rglob("*.json"):  # as another machine would have written them
        if path.name in ("training.json", "speed.json"):
            path.write_text(path.read_text().replace("a made-up device", "another").replace("10.0", "99.0"))
    monkeypatch.setattr(report.platform, "platform", lambda: "elsewhere")
    page = write(figures=True)
    changed = {name for name, content in everything().items() if content != first[name]}
    assert changed == {"reports/pannuke.md"}
    old = first["reports/pannuke.md"].decode()
    assert page.split("## On this machine")[0] == old.split("## On this machine")[0]


def test_pictures_are_small_and_carry_no_date(project: Path) -> None:
    names = {path.name for path in Path("reports/pannuke").glob("*.png")}
    assert names == PICTURES | FIGURES
    for name in names:
        path = Path("reports/pannuke") / name
        assert path.stat().st_size < 300_000, name
        with Image.open(path) as picture:
            assert set(picture.info) <= {"dpi"}


@pytest.mark.parametrize(("publish", "folder"), [(False, "reports/private/pannuke"), (True, "reports/pannuke")])
def test_pictures_of_real_tiles_stay_private_unless_told(project: Path, publish: bool, folder: str) -> None:
    change('"source": "sample"', '"source": "official"', "data/raw/pannuke/SOURCE.json")
    change("publish_pictures: false", f"publish_pictures: {str(publish).lower()}")
    page = write()
    assert page.startswith("# PanNuke")
    assert "synthetic" not in page
    assert {path.parent.as_posix() for path in Path("reports").rglob("*.png") if path.name in PICTURES} == {folder}
    assert Path("reports/private/pannuke").is_dir()
    assert f"]({Path(folder).relative_to('reports').as_posix()}/best.png)" in page


def test_the_summary_has_the_headlines_of_the_encoder(project: Path) -> None:
    headline = json.loads(Path("reports/metrics.json").read_text())
    scores = pd.read_csv("reports/pannuke/scores.csv").set_index(["encoder", "augmentation"])
    assert headline["encoder"] == "resnet50"
    assert headline["pannuke"]["augmented"]["mean_iou"] == scores.loc[("resnet50", "augmented"), "mean_iou"]
    curves = pd.read_csv("reports/curves.csv")
    assert curves["epoch"].tolist() == [1, 2, 3, 4]
    assert {"plain_train_loss", "augmented_validation_loss"} <= set(curves.columns)
    page = Path("reports/README.md").read_text()
    assert "| U-Net, plain | mean IoU" in page and "0.482 (U-Net + ResNet50 + Aug)" in page
    assert "mean nothing clinically" in page


def test_the_summary_names_a_report_that_is_missing(project: Path) -> None:
    Path("reports/pannuke/scores.csv").unlink()
    with pytest.raises(Problem, match=r"reports/pannuke/scores\.csv is missing; run `dvc repro report@pannuke`"):
        fabricated.run(summary.main)
