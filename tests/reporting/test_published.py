"""The papers' figures as reports look them up."""

from pathlib import Path

import pytest

from pipeline.base.study import read_study, variant
from pipeline.reporting.paper import headline, read_paper
from pipeline.reporting.published import Published

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def paper() -> Published:
    return Published.of("pannuke")


def test_the_figures_of_a_variant(paper: Published) -> None:
    assert paper.value("Table 3", "resnet50", "augmented", "mean_iou") == 0.482
    assert paper.value("Table 3", "unet", "plain", "dice") == 0.860
    assert paper.value("Table 4", "mobilenet_v2", "plain", "recall", "epithelial") == 0.65


def test_a_figure_that_the_paper_has_not_is_none(paper: Published) -> None:
    assert paper.value("Table 3", "densenet121", "plain", "mean_iou") is None
    assert paper.name("densenet121") == "U-Net + densenet121"


def test_the_encoders_come_in_the_order_of_the_table(paper: Published) -> None:
    expected = ["unet", "resnet50", "efficientnet-b0", "tu-tf_efficientnetv2_m", "mobilenet_v2", "vgg19"]
    assert paper.encoders("Table 3") == expected
    assert paper.name("resnet50") == "U-Net + ResNet50"


def test_other_peoples_systems_stand_apart(paper: Published) -> None:
    others = paper.others("Table 4", "f1")
    assert list(others) == ["Hover-UNet", "HoVer-Net"]
    assert others["HoVer-Net"]["dead"] == 0.31


def test_the_highest_figure_is_the_headline_row(paper: Published) -> None:
    assert paper.highest("Table 3", "mean_iou") == ("U-Net + ResNet50 + Aug", 0.482)


def test_a_study_that_rebuilds_no_paper_has_no_published_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nothing = Published.of("mine")
    assert nothing.rows.empty
    assert nothing.value("Table 3", "resnet50", "plain", "mean_iou") is None
    assert nothing.name("resnet50") == "U-Net + resnet50"


def test_the_rows_of_a_table_keep_the_side_of_the_split() -> None:
    rows = Published.of("bracs").of_table("Table 1")
    assert [(row["model"], row["side"]) for row in rows] == [
        (f"U-Net, {epochs} epochs", side) for epochs in (50, 100) for side in ("train", "test")
    ]


def test_speeds_are_those_of_the_variants_that_the_study_names() -> None:
    found = headline(read_study("tnbc"))
    speeds = Published.of("tnbc").speeds(found.table, found.names, found.target_class)
    assert speeds["unet-bn"] == 129.525 and speeds["unet"] is None


def test_published_bars_of_nuclei_stand_in_a_table_of_their_own(paper: Published) -> None:
    bars = {score: paper.others(read_paper("pannuke").tables["nuclei"], score) for score in ("bpq", "mpq")}
    assert bars["bpq"]["CellViT-SAM-H"] == {"all": 0.675}
    assert bars["mpq"]["StarDist head on ResNet-50"] == {"all": 0.489}


def test_the_paper_has_no_balanced_variant(paper: Published) -> None:
    assert paper.value("Table 3", "unet", "balanced", "mean_iou") is None


def test_every_variant_of_tnbc_has_its_row_of_the_paper() -> None:
    study = read_study("tnbc")
    paper, names = Published.of("tnbc"), headline(study).names
    assert list(names) == list(study.variants)
    printed = set(paper.rows.loc[paper.rows["table"] == "Table III", "variant"])
    assert set(names.values()) - printed == {"U-Net"}  # named and without figures
    assert printed <= set(names.values())
    for name, called in names.items():
        encoder, changed = variant(study, name)
        rows = paper.rows[paper.rows["variant"] == called]
        weights = {"imagenet": "imagenet", "random": "no"}[changed.model.weights]
        assert set(rows["encoder"]) <= {encoder} and set(rows["pretrained"]) <= {weights}


def test_the_paper_of_tnbc_trained_augmented_variants_alone() -> None:
    found, paper = headline(read_study("tnbc")), Published.of("tnbc")
    assert found.value(paper, "densenet121-imagenet", "augmented", "jaccard_of_images") == 0.669
    assert found.value(paper, "densenet121-imagenet", "plain", "jaccard_of_images") is None
    assert found.value(paper, "unet", "augmented", "jaccard_of_images") is None
    assert found.value(paper, "background", "plain", "f1_of_images") is None
    assert found.model(paper, "unet-bn") == "Modified U-Net"
    assert paper.highest("Table III", "jaccard", "nucleus") == ("Pre-trained DenseNet-121", 0.669)
    assert paper.of_variant("Table II", "Modified U-Net", "loss", "nucleus", "validation") == 0.486
