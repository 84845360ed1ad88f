"""The drawn BRACS are real pyramids in its own layout, with QuPath's GeoJSON, and the same bytes again."""

import json
from pathlib import Path

import numpy as np
import openslide
import pytest

from pipeline.datasets.bracs.card import Sample
from pipeline.datasets.bracs.drawing import FIRST, draw
from pipeline.datasets.bracs.reader import CODES, find
from pipeline.slides.annotations import read_annotations
from pipeline.slides.slide import Slide, spread
from tests.datasets.drawn import checksums

SIZE = 1024
SETTINGS = Sample(size=SIZE)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bracs")
    draw(folder, 7, SETTINGS)
    return folder


def test_six_patients_some_with_two_slides_and_each_on_one_side(drawn: Path) -> None:
    parts = find(drawn)
    patients = [part.patient for part in parts]
    assert (
        len(parts) == 8 and set(patients) == set("123456") and sorted(map(patients.count, set(patients)))[-2:] == [2, 2]
    )
    sides = {(part.patient, part.group) for part in parts}
    assert len(sides) == 6 and {side for _, side in sides} == {"train", "validation", "test"}


def test_slides_are_pyramids_with_resolution_tags(drawn: Path) -> None:
    for part in find(drawn):
        slide = openslide.OpenSlide(part.slides[0])
        assert slide.level_dimensions == ((SIZE, SIZE), (SIZE // 4, SIZE // 4), (SIZE // 16, SIZE // 16))
        assert slide.properties["openslide.vendor"] == "aperio"
        assert (slide.properties["openslide.mpp-x"], slide.properties["openslide.objective-power"]) == ("0.25", "40")
        assert part.slides[0].stat().st_size < 2e6


def test_lesions_differ_from_glass_and_overlap_other_classes(drawn: Path) -> None:
    for part in find(drawn):
        annotations = read_annotations(part.annotations[0], CODES)
        assert set(annotations.codes) == {CODES["n"], CODES["udh"]} and annotations.repaired == 0
        assert annotations.left_out == {"features of class 'Tissue'": 1, "features without a class": 1}
        with Slide(part.slides[0]) as slide:
            annotations.check_place(slide.width, slide.height)
            assert annotations.clipped == 0
            grid = slide.grid(256, 256)
            assert all(spread(slide.read(grid, *place)) > 15 for place in annotations.tiles(grid))
            assert spread(slide.read(grid, 0, 0)) < 5
            lesions = [shape for shape, code in zip(annotations.shapes, annotations.codes, strict=True) if code == 3]
            x, y = (int(value) for value in lesions[0].centroid.coords[0])
            inside = np.asarray(slide.read(slide.grid(64, 1), x - 32, y - 32))
            assert inside.mean() < 190
    assert any(
        shape.intersects(other)
        for part in find(drawn)
        for found in [read_annotations(part.annotations[0], CODES)]
        for shape, other in [(found.shapes[0], found.shapes[1])]
    )


def test_both_shapes_of_geojson_occur(drawn: Path) -> None:
    kinds = [type(json.loads(part.annotations[0].read_text())) for part in find(drawn)]
    assert kinds == [list if number % 2 else dict for number in range(FIRST, FIRST + 8)]


def test_slides_differ(drawn: Path) -> None:
    assert len(set(checksums(drawn).values())) == len(checksums(drawn)) == 17
