"""Rows of the comparison tables, from variants made by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.metrics import detection, instance, pixel
from pipeline.reporting import tables
from pipeline.reporting.headlines import HEADLINES
from pipeline.reporting.published import Published
from pipeline.reporting.results import NAMED, Variant
from pipeline.reporting.scoring import Evidence, count_nuclei

CLASSES = ["background", "neoplastic", "dead"]
PUBLISHED, HEADLINE = Published.of("pannuke"), HEADLINES["pannuke"]
IMAGES = 12


def variant(encoder: str, augmentation: str, right: int) -> Variant:
    """A variant that finds `right` of 10 neoplastic pixels in each image, give or take one, and no dead ones."""
    counts = np.array([[[50, 0, 0], [10 - r, r, 0], [2, 0, 0]] for r in right + np.arange(IMAGES) % 3 - 1])
    named = pd.DataFrame(dict.fromkeys(NAMED, "a"), index=range(IMAGES)).assign(run=1, seed=42)
    named = named.assign(index=range(IMAGES), patient="", slide="", group="Breast")
    images = pd.concat([named, pd.DataFrame(counts.reshape(IMAGES, 9), columns=pixel.columns(3))], axis=1)
    nuclei = {}
    for name in ("binary", "components", *CLASSES[1:]):
        nuclei |= {f"{name}_{column}": 1.0 for column in (*instance.COLUMNS, *instance.JOIN_COLUMNS)}
    for name in ("detection", "components_detection"):
        nuclei |= {f"{name}_{column}": 1.0 for column in detection.DETECTION_COLUMNS}
    for name in CLASSES[1:]:
        nuclei |= {f"{name}_detection_{column}": 1.0 for column in detection.CLASS_COLUMNS}
    nuclei |= {"neoplastic_tp": 3.0, "dead_tp": 0.0}
    run = {"run": 1, "seed": 42, "epochs_run": 1, "best_epoch": 1}
    record = {"runs": [run], "weights": "random", "parameters": 1, "flops_per_image": 1}
    return Variant(
        encoder, augmentation, Path(), record, [], pd.DataFrame({"epoch": [1]}), images, named.assign(**nuclei)
    )


@pytest.fixture
def variants() -> list[Variant]:
    return [variant("resnet50", "plain", 5), variant("resnet50", "augmented", 8), variant("background", "plain", 1)]


@pytest.fixture
def evidence(variants: list[Variant]) -> Evidence:
    return Evidence(variants, CLASSES, seed=0)


@pytest.fixture
def rows(variants: list[Variant], evidence: Evidence) -> list[dict]:
    return tables.rows(variants, evidence.figures(), PUBLISHED, HEADLINE, "vgg19")


def test_the_published_figure_and_the_difference_stand_beside_ours(rows: list[dict]) -> None:
    plain, augmented, _ = rows
    assert plain["published"]["mean_iou"] == 0.456
    assert plain["difference"]["mean_iou"] == pytest.approx(plain["figures"]["mean_iou"].value - 0.456)
    assert augmented["difference"]["dice_micro"] == pytest.approx(116 / 124 - 0.916)
    assert not plain["marked"]


@pytest.mark.parametrize(
    ("encoder", "augmentation"), [("densenet121", "plain"), ("unet", "balanced"), ("otsu", "plain")]
)
def test_what_the_paper_has_not_has_no_difference(encoder: str, augmentation: str) -> None:
    one = [variant(encoder, augmentation, 5)]
    (row,) = tables.rows(one, Evidence(one, CLASSES, 0).figures(), PUBLISHED, HEADLINE, encoder)
    assert row["published"]["mean_iou"] is None and row["difference"]["mean_iou"] is None
    assert row["marked"]


def test_a_baseline_is_never_the_best(variants: list[Variant]) -> None:
    swapped = [variant("resnet50", "plain", 2), variant("otsu", "plain", 9)]
    rows = tables.rows(swapped, Evidence(swapped, CLASSES, 0).figures(), PUBLISHED, HEADLINE, "unet")
    assert tables.best_row(rows, "mean_iou") == 0
    assert [row["baseline"] for row in rows] == [False, True]
    assert rows[1]["model"] == "Otsu on haematoxylin"


def test_scores_of_few_nuclei_are_marked(variants: list[Variant], rows: list[dict]) -> None:
    nuclei = count_nuclei(variants[0], CLASSES)
    assert nuclei == {"neoplastic": 4 * IMAGES, "dead": IMAGES}
    cells = tables.classes(rows, nuclei, PUBLISHED, min_count=30)[0]
    assert [(cell["name"], cell["few"]) for cell in cells] == [("neoplastic", False), ("dead", True)]
    assert cells[0]["f1"].value == pytest.approx(2 / 3)
    assert cells[0]["published"] == 0.78


def test_each_row_is_tested_against_the_best(evidence: Evidence, rows: list[dict]) -> None:
    found = tables.against_best(evidence, rows, "mean_iou")
    assert [row["encoder"] for row in found] == ["resnet50", "background"]  # the nearest first
    assert [row["test"].verdict for row in found] == ["worse", "worse"]
    value = rows[0]["figures"]["mean_iou"].value - rows[1]["figures"]["mean_iou"].value
    assert found[0]["test"].difference.value == pytest.approx(value)


def test_an_ablation_is_the_change_minus_plain(evidence: Evidence, rows: list[dict]) -> None:
    (row,) = tables.ablations(evidence, rows, ["mean_iou", "mpq_images"])
    test = row["tests"]["mean_iou"]
    assert row["change"] == "augmented" and test.verdict == "better"
    assert test.difference.value == pytest.approx(
        rows[1]["figures"]["mean_iou"].value - rows[0]["figures"]["mean_iou"].value
    )
    assert row["tests"]["mpq_images"].verdict == "no difference shown"
    assert row["published"] == pytest.approx(0.026)


def test_verdicts_are_counted() -> None:
    one = [variant("unet", "plain", 5), variant("unet", "augmented", 5), variant("unet", "balanced", 8)]
    evidence = Evidence(one, CLASSES, 0)
    tests = evidence.compare([("mean_iou", 1, 0), ("mean_iou", 2, 0)])
    assert tables.count_verdicts(tests) == {"better": 1, "no difference shown": 1}


def test_the_table_of_intervals_has_a_row_for_every_figure(variants: list[Variant], evidence: Evidence) -> None:
    figures = evidence.figures()
    table = tables.intervals_table("pannuke", "sample", variants, figures, evidence)
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    assert set(table["unit"]) == {"test tiles"} and set(table["units"]) == {IMAGES}
    row = table.query("encoder == 'resnet50' and augmentation == 'plain' and score == 'mean_iou'").iloc[0]
    assert row["value"] == figures[0]["mean_iou"].value


def test_stacked_tables_start_with_the_variant(variants: list[Variant]) -> None:
    table = tables.stacked(variants[:2], "images")
    assert list(table.columns[:4]) == ["encoder", "augmentation", "run", "seed"]
    assert table["augmentation"].tolist() == ["plain"] * IMAGES + ["augmented"] * IMAGES
