"""The drawn MoNuSeg has the layout, oddities and variety of the real one, and the same bytes again."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.discovery import look
from pipeline.datasets.members import list_members
from pipeline.datasets.monuseg.card import ORGAN_OF, ORGANS, Sample
from pipeline.datasets.monuseg.drawing import SWOLLEN_EVERY, draw, imagescope, outlines
from pipeline.datasets.monuseg.reader import find, read_regions
from pipeline.slides.polygons import rasterise
from tests.datasets.drawn import tiles

SIZE, IMAGES = 160, 8
SETTINGS = Sample(tile_size=SIZE, images=IMAGES)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monuseg")
    draw(folder, 7, SETTINGS)
    return folder


def test_monuseg_has_real_names_breast_first_and_of_each_organ(drawn: Path) -> None:
    slides = find(drawn)
    organs = [ORGAN_OF[slide.name] for slide in slides]
    assert len(slides) == IMAGES and set(organs) == set(ORGANS) and organs.count("Breast") == 2
    with Image.open(slides[0].image.path) as picture:
        assert (picture.mode, picture.info["compression"]) == ("RGB", "tiff_lzw")


def test_annotations_have_the_oddities_of_the_real_ones(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slides = find(drawn)
    regions = [read_regions(slide.annotation) for slide in slides]
    assert capsys.readouterr().out.count("left out 1 of the regions, with fewer than three vertices") == 1
    assert all(sum(region.negative for region in found) == 1 for found in regions)
    corners = np.concatenate([region.ring for found in regions for region in found])
    assert corners.min() < 0 and corners.max() > SIZE  # leave the image
    assert (corners % 1 > 0).any()
    found = tiles("monuseg", drawn)
    assert all(tile.overlap > 0 for tile in found)
    assert sum(len(tile.nuclei) for tile in found) > 10 * IMAGES


def test_the_inside_of_an_outline_is_the_nucleus_again() -> None:
    instances = np.zeros((24, 24), np.int32)
    instances[0:5, 0:4], instances[5:9, 2:9], instances[20, 20:] = 1, 2, 3
    instances[10:20:2, 12], instances[11:21:2, 13] = SWOLLEN_EVERY, SWOLLEN_EVERY  # scattered
    swollen, *rings = outlines(instances)
    for number, ring in enumerate(rings, start=1):
        np.testing.assert_array_equal(rasterise([ring], slice(0, 24), slice(0, 24)), instances == number)
    assert rasterise([swollen], slice(0, 24), slice(0, 24)).sum() > 1


def test_outlines_and_their_signs_come_back_from_the_xml(tmp_path: Path) -> None:
    ring = np.array([(-1.25, 2.0), (1 / 3, 7.5), (9, 9)])
    (tmp_path / "TCGA-A7-A13E.xml").write_text(imagescope([(ring, False), (ring + 1, True)]))
    (member,) = list_members(look(tmp_path), {".xml"})
    first, second = read_regions(member)
    np.testing.assert_allclose(first.ring, ring, atol=5e-7)
    np.testing.assert_allclose(second.ring, ring + 1, atol=5e-7)
    assert (first.negative, second.negative) == (False, True)


def test_nuclei_are_darker_than_what_is_around_them(drawn: Path) -> None:
    found = tiles("monuseg", drawn)
    red = np.array([tile.image[..., 0] for tile in found]).astype(float)
    inside = np.array([tile.class_map for tile in found]) > 0
    assert red[inside].mean() < red[~inside].mean() - 40
