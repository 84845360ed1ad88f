"""What is said where there are too few units for an interval: from five on down, and not from six on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.records import Machine
from pipeline.metrics import pixel
from pipeline.reporting.few import range_of_units
from pipeline.reporting.rendering import render
from pipeline.reporting.results import Variant
from pipeline.reporting.scoring import Evidence

CLASSES = ["background", "tumour"]
INTERVALS = "{% import 'macros.md.j2' as blocks %}{{ blocks.intervals(evidence, 'the run') }}"


def evidence_of(patients: int, right: int = 8) -> Evidence:
    """Two tiles of each patient, of 10 px tumour and 10 px background; of the first patient all is right."""
    counts = np.zeros((2 * patients, 2, 2), np.int64)
    counts[:, 0, 0] = 10
    counts[:, 1, 1] = [10, 10, *[right] * (2 * patients - 2)]
    counts[:, 1, 0] = 10 - counts[:, 1, 1]
    names = {"run": 1, "seed": 1, "dataset": "d", "shard": "s", "index": range(2 * patients), "slide": "", "group": ""}
    images = pd.DataFrame(names).assign(patient=[f"p{n // 2}" for n in range(2 * patients)])
    images[pixel.columns(2)] = counts.reshape(-1, 4)
    machines: list[Machine] = []
    return Evidence(
        [Variant("unet", "plain", False, [], machines, [], pd.DataFrame(), images, pd.DataFrame())], CLASSES, 0
    )


def note(folder: Path, patients: int) -> str:
    (folder / "note.md.j2").write_text(INTERVALS)
    return render("note.md.j2", folder, evidence=evidence_of(patients))


@pytest.mark.parametrize(
    ("patients", "few", "spanned"), [(1, True, 0), (2, True, 0.5), (5, True, 0.9375), (6, False, 0.96875)]
)
def test_a_range_holds_the_median_as_often_as_patients_lie_on_both_sides(
    patients: int, few: bool, spanned: float
) -> None:
    evidence = evidence_of(patients)
    assert (evidence.units, evidence.few, evidence.spanned) == (patients, few, spanned)
    sides = (np.arange(2**patients)[:, None] >> np.arange(patients)) & 1  # every way to lie on its two sides
    assert np.mean((sides.min(axis=1) == 0) & (sides.max(axis=1) == 1)) == pytest.approx(spanned)


def test_the_range_is_that_of_each_patient_scored_alone() -> None:
    evidence = evidence_of(3, right=5)
    assert range_of_units(evidence, "recall_tumour", 0) == (0.5, 1.0)
    low, high = range_of_units(evidence, "mean_iou", 0)
    assert low == pytest.approx((10 / 15 + 5 / 10) / 2) and high == 1
    figure = evidence.figures()[0]["mean_iou"]
    assert low <= figure.low <= figure.high <= high  # no interval of so few can be wide enough


@pytest.mark.parametrize(
    ("patients", "words"),
    [
        (1, "bootstrap of the 1 patient of the run.|**1 patient is too few for 95 %**: of one there is no interval."),
        (2, "bootstrap of the 2 patients of the run.|the median of all patients like these with a confidence of 50 %"),
    ],
)
def test_a_note_says_what_the_tables_intervals_are_worth(patients: int, words: str, tmp_path: Path) -> None:
    page = note(tmp_path, patients)
    assert all(part in page for part in words.split("|"))


def test_six_patients_need_no_note(tmp_path: Path) -> None:
    page = note(tmp_path, 6)
    assert "bootstrap of the 6 patients of the run." in page and "too few" not in page
    assert page.endswith("[how to read them](../docs/explanation/trust.md).\n")
