"""Rows of the comparison tables, from variants made by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.records import Metrics
from pipeline.metrics import detection, instance, pixel
from pipeline.reporting import tables
from pipeline.reporting.names import BASELINES
from pipeline.reporting.paper import Paper, read_paper
from pipeline.reporting.published import Published
from pipeline.reporting.results import NAMED, Variant
from pipeline.reporting.scoring import Evidence, count_nuclei

CLASSES = ["background", "neoplastic", "dead"]
ROOT = Path(__file__).parents[2]
IMAGES = 12


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    monkeypatch.chdir(ROOT)
    return Published.of("pannuke")


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    monkeypatch.chdir(ROOT)
    found = read_paper("pannuke")
    assert found is not None
    return found


def variant(name: str, plan: str, right: int) -> Variant:
    """A variant that finds `right` of 10 neoplastic pixels in each image, give or take one, and no dead ones."""
    counts = np.array([[[50, 0, 0], [10 - r, r, 0], [2, 0, 0]] for r in right + np.arange(IMAGES) % 3 - 1])
    named = pd.DataFrame(dict.fromkeys(NAMED, "a"), index=range(IMAGES)).assign(run=1, seed=42)
    named = named.assign(index=range(IMAGES), patient="", slide="", group="Breast")
    images = pd.concat([named, pd.DataFrame(counts.reshape(IMAGES, 9), columns=pixel.columns(3))], axis=1)
    nuclei = {}
    for kind in ("binary", "components", *CLASSES[1:]):
        nuclei |= {f"{kind}_{column}": 1.0 for column in (*instance.COLUMNS, *instance.JOIN_COLUMNS)}
    for kind in ("detection", "components_detection"):
        nuclei |= {f"{kind}_{column}": 1.0 for column in detection.DETECTION_COLUMNS}
    for kind in CLASSES[1:]:
        nuclei |= {f"{kind}_detection_{column}": 1.0 for column in detection.CLASS_COLUMNS}
    nuclei |= {"neoplastic_tp": 3.0, "dead_tp": 0.0}
    cost = {"parameters": 1, "trainable_parameters": 1, "flops_per_image": 1, "epochs_run": 1, "best_epoch": 1}
    trained = cost | {"weights": "random", "weights_sha256": "abc"}
    record = Metrics(variant=name, plan=plan, run=1, seed=42, scores={}, **trained)
    curves, baseline = pd.DataFrame({"epoch": [1]}), name in BASELINES
    return Variant(name, plan, baseline, [record], [], [], curves, images, named.assign(**nuclei))


@pytest.fixture
def variants() -> list[Variant]:
    return [variant("resnet50", "plain", 5), variant("resnet50", "augmented", 8), variant("background", "plain", 1)]


@pytest.fixture
def evidence(variants: list[Variant]) -> Evidence:
    return Evidence(variants, CLASSES, seed=0)


@pytest.fixture
def rows(variants: list[Variant], evidence: Evidence, published: Published, paper: Paper) -> list[dict]:
    return tables.rows(variants, evidence.figures(), published, paper, "vgg19")


def test_the_published_figure_and_the_difference_stand_beside_ours(rows: list[dict]) -> None:
    plain, augmented, _ = rows
    assert plain["published"]["mean_iou"] == 0.456
    assert plain["difference"]["mean_iou"] == pytest.approx(plain["figures"]["mean_iou"].value - 0.456)
    assert augmented["difference"]["dice_micro"] == pytest.approx(116 / 124 - 0.916)
    assert not plain["marked"]


@pytest.mark.parametrize(("name", "plan"), [("densenet121", "plain"), ("unet", "balanced"), ("otsu", "plain")])
def test_what_the_paper_has_not_has_no_difference(name: str, plan: str, published: Published, paper: Paper) -> None:
    two = [variant(name, plan, 5), variant("vgg19", "plain", 5)]
    row, _ = tables.rows(two, Evidence(two, CLASSES, 0).figures(), published, paper, name)
    assert row["published"]["mean_iou"] is None and row["difference"]["mean_iou"] is None
    assert row["marked"]


def test_a_baseline_is_never_the_best(published: Published, paper: Paper) -> None:
    swapped = [variant("resnet50", "plain", 2), variant("otsu", "plain", 9)]
    rows = tables.rows(swapped, Evidence(swapped, CLASSES, 0).figures(), published, paper, "unet")
    assert tables.best_row(rows, "mean_iou") == 0
    assert [row["baseline"] for row in rows] == [False, True]
    assert [row["best"] for row in rows] == [True, False]
    assert rows[1]["model"] == "Otsu on haematoxylin"


def test_scores_of_few_nuclei_are_marked(variants: list[Variant], rows: list[dict], published: Published) -> None:
    nuclei = count_nuclei(variants[0], CLASSES)
    assert nuclei == {"neoplastic": 4 * IMAGES, "dead": IMAGES}
    cells = tables.classes(rows, nuclei, published, "Table 4", min_count=30)[0]
    assert [(cell["name"], cell["few"]) for cell in cells] == [("neoplastic", False), ("dead", True)]
    assert cells[0]["f1"].value == pytest.approx(2 / 3)
    assert cells[0]["published"] == 0.78


def test_each_row_is_tested_against_the_best(evidence: Evidence, rows: list[dict]) -> None:
    found = tables.against_best(evidence, rows, "mean_iou")
    assert [row["variant"] for row in found] == ["resnet50", "background"]  # the nearest first
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


def test_each_verdict_has_its_own_rows(published: Published, paper: Paper) -> None:
    three = [variant("unet", "plain", 5), variant("unet", "augmented", 5), variant("unet", "balanced", 8)]
    evidence = Evidence(three, CLASSES, 0)
    rows = tables.rows(three, evidence.figures(), published, paper, None)
    found = tables.by_verdict(tables.against_best(evidence, rows, "mean_iou"))
    assert {name: [row["plan"] for row in mine] for name, mine in found.items()} == {"worse": ["plain", "augmented"]}
    changed = tables.by_verdict(tables.ablations(evidence, rows, ["mean_iou"]), "mean_iou")
    assert {name: [row["change"] for row in mine] for name, mine in changed.items()} == {
        "better": ["balanced"],
        "no difference shown": ["augmented"],
    }


def test_the_table_of_intervals_has_a_row_for_every_figure(variants: list[Variant], evidence: Evidence) -> None:
    figures = evidence.figures()
    table = tables.intervals_table("pannuke", "sample", variants, figures, evidence)
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    assert set(table["unit"]) == {"test tiles"} and set(table["units"]) == {IMAGES}
    row = table.query("variant == 'resnet50' and plan == 'plain' and score == 'mean_iou'").iloc[0]
    assert row["value"] == figures[0]["mean_iou"].value


def test_stacked_tables_start_with_the_variant(variants: list[Variant]) -> None:
    table = tables.stacked(variants[:2], "images")
    assert list(table.columns[:4]) == ["variant", "plan", "run", "seed"]
    assert table["plan"].tolist() == ["plain"] * IMAGES + ["augmented"] * IMAGES
