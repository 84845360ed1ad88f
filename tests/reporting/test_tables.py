"""Rows of the comparison tables, from variants made by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.metrics import pixel
from pipeline.reporting import tables
from pipeline.reporting.published import Published
from pipeline.reporting.results import Variant

CLASSES = ["background", "neoplastic", "dead"]
PUBLISHED = Published.of("pannuke")


def variant(encoder: str, augmentation: str, right: int) -> Variant:
    """A variant that finds `right` of 10 neoplastic pixels in each of two images, and no dead ones."""
    one = np.array([[50, 0, 0], [10 - right, right, 0], [2, 0, 0]])
    counts = np.stack([one, one])
    scores = pixel.score(counts, CLASSES)
    for name, nuclei in zip(CLASSES, [None, 40, 1], strict=True):
        scores["per_class"][name]["nuclei"] = nuclei
    images = pd.DataFrame(counts.reshape(2, 9), columns=pixel.columns(3))
    return Variant(encoder, augmentation, Path(), {}, {}, scores, pd.DataFrame({"epoch": [1]}), images)


@pytest.fixture
def variants() -> list[Variant]:
    return [variant("resnet50", "plain", 5), variant("resnet50", "augmented", 8)]


def test_segmentation_sets_the_published_figure_and_the_difference_beside_ours(variants: list[Variant]) -> None:
    plain, augmented = tables.segmentation(variants, PUBLISHED, "vgg19")
    assert plain["mean_iou_published"] == 0.456
    assert plain["mean_iou_difference"] == pytest.approx(plain["mean_iou"] - 0.456)
    assert augmented["dice_micro_difference"] == pytest.approx(116 / 124 - 0.916)
    assert not plain["marked"]


def test_a_variant_without_published_figures_has_no_difference() -> None:
    (row,) = tables.segmentation([variant("densenet121", "plain", 5)], PUBLISHED, "densenet121")
    assert row["mean_iou_published"] is None and row["mean_iou_difference"] is None
    assert row["marked"]


def test_the_constant_row_knows_the_truth_only(variants: list[Variant]) -> None:
    first, second = (tables.constant_row(each, CLASSES) for each in variants)
    assert first == second
    assert first["pixel_accuracy"] == pytest.approx(50 / 62)
    assert first["mean_iou"] == pytest.approx(50 / 62 / 3)


def test_scores_of_few_nuclei_are_marked(variants: list[Variant]) -> None:
    cells = tables.classification(variants, PUBLISHED, "resnet50", min_count=30)[0]["classes"]
    assert [(cell["name"], cell["few"]) for cell in cells] == [("neoplastic", False), ("dead", True)]
    assert cells[0]["f1"] == pytest.approx(2 / 3)
    assert cells[0]["f1_published"] == 0.78


def test_augmentation_is_augmented_minus_plain(variants: list[Variant]) -> None:
    (row,) = tables.augmentation(tables.segmentation(variants, PUBLISHED, "resnet50"))
    assert row["mean_iou"] == pytest.approx(row["augmented"] - row["plain"])
    assert row["mean_iou"] > 0
    assert row["mean_iou_published"] == pytest.approx(0.026)


def test_stacked_tables_start_with_the_variant(variants: list[Variant]) -> None:
    table = tables.stacked(variants, "images")
    assert list(table.columns[:3]) == ["encoder", "augmentation", "c0_0"]
    assert table["augmentation"].tolist() == ["plain", "plain", "augmented", "augmented"]
