"""The papers' figures as reports look them up."""

from pathlib import Path

import pytest

from pipeline.base.params import read_params
from pipeline.reporting import tables
from pipeline.reporting.headlines import HEADLINES
from pipeline.reporting.published import Published


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


def test_each_study_sees_its_own_rows_only() -> None:
    assert set(Published.of("bcss").rows["study"]) == {"bcss"}


def test_published_bars_of_nuclei_stand_in_a_table_of_their_own(paper: Published) -> None:
    bars = {score: paper.others(tables.BARS, score) for score in ("bpq", "mpq")}
    assert bars["bpq"]["CellViT-SAM-H"] == {"all": 0.675}
    assert bars["mpq"]["StarDist head on ResNet-50"] == {"all": 0.489}


def test_the_paper_has_no_balanced_variant(paper: Published) -> None:
    assert paper.value("Table 3", "unet", "balanced", "mean_iou") is None


def test_every_variant_of_tnbc_has_its_row_of_the_paper() -> None:
    study = read_params(Path(__file__).parents[2] / "params.yaml").tnbc
    headline, paper = HEADLINES["tnbc"], Published.of("tnbc")
    assert list(headline.names) == list(study.variants)
    printed = set(paper.rows.loc[paper.rows["table"] == "Table III", "variant"])
    assert set(headline.names.values()) - printed == {"U-Net"}  # named and without figures
    assert printed <= set(headline.names.values())
    for name, called in headline.names.items():
        encoder, changed = study.of(name)
        rows = paper.rows[paper.rows["variant"] == called]
        weights = {"imagenet": "imagenet", "random": "no"}[changed.model.weights]
        assert set(rows["encoder"]) <= {encoder} and set(rows["pretrained"]) <= {weights}


def test_the_paper_of_tnbc_trained_augmented_variants_alone() -> None:
    headline, paper = HEADLINES["tnbc"], Published.of("tnbc")
    assert headline.value(paper, "densenet121-imagenet", "augmented", "jaccard_of_images") == 0.669
    assert headline.value(paper, "densenet121-imagenet", "plain", "jaccard_of_images") is None
    assert headline.value(paper, "unet", "augmented", "jaccard_of_images") is None
    assert headline.value(paper, "background", "plain", "f1_of_images") is None
    assert headline.model(paper, "unet-bn") == "Modified U-Net"
    assert paper.highest("Table III", "jaccard", "nucleus") == ("Pre-trained DenseNet-121", 0.669)
    assert paper.of_variant("Table II", "Modified U-Net", "loss", "nucleus", "validation") == 0.486
