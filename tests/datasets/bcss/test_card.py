"""The card of BCSS has its 21 classes and the institutions of each side."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.datasets.bcss.card import CARD
from pipeline.stages.download import download


def test_the_split_is_by_institution() -> None:
    sides = CARD.official_splits[1]
    assert {name for name, side in sides.items() if side == "test"} == {"OL", "LL", "E2", "EW", "GM", "S3"}
    assert {name for name, side in sides.items() if side == "validation"} == {"BH", "C8", "A8", "A1", "E9"}
    assert (
        len(CARD.classes) == len(set(CARD.classes)) == 21 and CARD.classes[0] == "tumor" and CARD.classes[20] == "other"
    )


def test_official_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"BCSS cannot be downloaded by a program; .*github.com.*datasets\.bcss\.source"):
        download(CARD, tmp_path)


@pytest.mark.real
def test_the_real_code_table_is_ours(real_data: Path) -> None:
    with (real_data / "bcss" / "gtruth_codes.tsv").open() as file:
        rows = {int(row["GT_code"]): row["label"] for row in csv.DictReader(file, delimiter="\t")}
    assert rows.pop(0) == "outside_roi"
    assert tuple(rows[code] for code in range(1, 22)) == CARD.classes


@pytest.mark.real
def test_the_real_regions_fall_on_the_known_sides(real_data: Path) -> None:
    with (real_data / "bcss" / "roiBounds.csv").open() as file:
        slides = [row[0] for row in csv.reader(file)][1:]
    sides = Counter(CARD.official_splits[1][slide.split("-")[1]] for slide in slides)
    assert sides == {"train": 76, "validation": 30, "test": 45}
    assert {slide.split("-")[1] for slide in slides} == set(CARD.groups)
