"""A drawn data set is the same bytes again with the same seed, and others with another: all of them, one by one."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import datasets
from tests.datasets.drawn import checksums

SMALL: dict[str, dict[str, Any]] = {
    "bach": {"width": 160, "images": 2},
    "bcss": {"height": 256, "regions": 3},
    "bracs": {"size": 1024},
    "monuseg": {"tile_size": 128, "images": 8},
    "pannuke": {"tile_size": 64, "tiles_per_fold": 8, "breast_share": 0.75},
    "tnbc": {"tile_size": 64, "share": 0.1},
}
LISTS = {
    "microscopy_ground_truth.csv",
    "patients.csv",
    "BRACS.csv",
    "types.npy",
}  # which say what a picture is of; no seed changes them


def test_all_of_them_are_here() -> None:
    assert sorted(SMALL) == datasets.names()


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_draws_the_same_bytes(name: str, tmp_path: Path) -> None:
    settings = datasets.load_card(name).sample.model_validate(SMALL[name])
    for folder, seed in (("first", 7), ("again", 7), ("other", 8)):
        datasets.load_drawing(name).draw(tmp_path / folder, seed, settings)
    first, again, other = (checksums(tmp_path / folder) for folder in ("first", "again", "other"))
    assert first == again
    same = [file for file in first if first[file] == other.get(file)]
    assert all(Path(file).name in LISTS for file in same), same
    assert len(set(first) - set(same)) > len(same)
