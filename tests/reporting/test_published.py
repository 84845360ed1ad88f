"""The papers' figures as reports look them up."""

import pytest

from pipeline.reporting import tables
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
