"""The drawn TNBC has the layout, oddities and variety of the real one, and the same bytes again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.tnbc.card import Sample
from pipeline.datasets.tnbc.drawing import draw
from pipeline.datasets.tnbc.reader import find
from tests.datasets.drawn import tiles

SIZE = 96
SETTINGS = Sample(tile_size=SIZE, share=0.3)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tnbc")
    draw(folder, 7, SETTINGS)
    return folder


def test_tnbc_has_eleven_patients_and_both_kinds_of_image(drawn: Path) -> None:
    patients = find(drawn)
    assert [patient.count for patient in patients] == [3, 1, 2, 3, 2, 1, 1, 2, 2, 2, 1]
    modes = {}
    for path in sorted(drawn.glob("*/*.png")):
        with Image.open(path) as picture:
            modes.setdefault(path.parent.name.split("_")[0], []).append(picture.mode)
            assert picture.size == (SIZE, SIZE)
    assert set(modes["GT"]) == {"L"}
    assert modes["Slide"].count("RGBA") > 4 * modes["Slide"].count("RGB") > 0


def test_each_patient_has_an_image_however_small_the_share(tmp_path: Path) -> None:
    draw(tmp_path, 7, Sample(tile_size=64, share=0.01))
    assert [patient.count for patient in find(tmp_path)] == [1] * 11


def test_masks_are_binary_and_merge_nuclei_that_touch(drawn: Path) -> None:
    found = tiles("tnbc", drawn)
    largest = [np.bincount(tile.instance_map.ravel())[1:].max() for tile in found]
    one_nucleus = (11.5 / 0.25) ** 2  # a square around the longest
    assert max(largest) > one_nucleus
    assert all(0.03 < tile.class_map.mean() < 0.7 for tile in found)


def test_a_patient_has_one_stain_and_two_patients_differ(drawn: Path) -> None:
    colours: dict[str, list[Any]] = {}
    for tile in tiles("tnbc", drawn):
        colours.setdefault(tile.patient, []).append(tile.image[tile.class_map > 0].mean(axis=0))
    means = np.array([np.mean(found, axis=0) for found in colours.values()])
    within = np.mean([np.std(found, axis=0).mean() for found in colours.values() if len(found) > 1])
    assert means.std(axis=0).mean() > within


def test_nuclei_are_darker_than_what_is_around_them(drawn: Path) -> None:
    found = tiles("tnbc", drawn)
    red = np.array([tile.image[..., 0] for tile in found]).astype(float)
    inside = np.array([tile.class_map for tile in found]) > 0
    assert red[inside].mean() < red[~inside].mean() - 40
