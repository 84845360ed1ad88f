"""The drawn TNBC and MoNuSeg have the layouts, oddities and variety of the real ones, and the same bytes again."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import monuseg, tnbc
from pipeline.datasets.sample_nuclei import SWOLLEN_EVERY, draw_monuseg, draw_tnbc, imagescope, outlines
from pipeline.slides.polygons import rasterise

TNBC_SIZE, MONUSEG_SIZE, IMAGES = 96, 112, 8


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_tnbc(folder / "tnbc", 7, TNBC_SIZE, 0.3)
    draw_monuseg(folder / "monuseg", 7, MONUSEG_SIZE, IMAGES)
    return folder


def files(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def tiles(module: Any, folder: Path) -> list[Any]:
    return [tile for source in module.find(folder) for tile in source.tiles()]


def test_tnbc_has_eleven_patients_and_both_kinds_of_image(drawn: Path) -> None:
    patients = tnbc.find(drawn / "tnbc")
    assert [patient.count for patient in patients] == [3, 1, 2, 3, 2, 1, 1, 2, 2, 2, 1]
    modes = {}
    for path in sorted((drawn / "tnbc").glob("*/*.png")):
        with Image.open(path) as picture:
            modes.setdefault(path.parent.name.split("_")[0], []).append(picture.mode)
            assert picture.size == (TNBC_SIZE, TNBC_SIZE)
    assert set(modes["GT"]) == {"L"}
    assert modes["Slide"].count("RGBA") > 4 * modes["Slide"].count("RGB") > 0


def test_each_patient_has_an_image_however_small_the_share(tmp_path: Path) -> None:
    draw_tnbc(tmp_path, 7, 64, 0.01)
    assert [patient.count for patient in tnbc.find(tmp_path)] == [1] * 11


def test_masks_are_binary_and_merge_nuclei_that_touch(drawn: Path) -> None:
    found = tiles(tnbc, drawn / "tnbc")
    largest = [np.bincount(tile.instance_map.ravel())[1:].max() for tile in found]
    one_nucleus = (11.5 / 0.25) ** 2  # a square around the longest
    assert max(largest) > one_nucleus
    assert all(0.03 < tile.class_map.mean() < 0.7 for tile in found)


def test_monuseg_has_real_names_breast_first_and_of_each_organ(drawn: Path) -> None:
    slides = monuseg.find(drawn / "monuseg")
    organs = [monuseg.ORGAN_OF[slide.name] for slide in slides]
    assert len(slides) == IMAGES and set(organs) == set(monuseg.ORGANS) and organs.count("Breast") == 2
    with Image.open(slides[0].image.path) as picture:
        assert (picture.mode, picture.info["compression"]) == ("RGB", "tiff_lzw")


def test_annotations_have_the_oddities_of_the_real_ones(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slides = monuseg.find(drawn / "monuseg")
    regions = [monuseg.read_regions(slide.annotation) for slide in slides]
    assert capsys.readouterr().out.count("left out 1 of the regions, with fewer than three vertices") == 1
    assert all(sum(region.negative for region in found) == 1 for found in regions)
    corners = np.concatenate([region.ring for found in regions for region in found])
    assert corners.min() < 0 and corners.max() > MONUSEG_SIZE  # leave the image
    assert (corners % 1 > 0).any()
    found = tiles(monuseg, drawn / "monuseg")
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
    (member,) = monuseg.list_members(tmp_path, {".xml"})
    first, second = monuseg.read_regions(member)
    np.testing.assert_allclose(first.ring, ring, atol=5e-7)
    np.testing.assert_allclose(second.ring, ring + 1, atol=5e-7)
    assert (first.negative, second.negative) == (False, True)


def test_nuclei_are_darker_than_what_is_around_them(drawn: Path) -> None:
    for module, folder in ((tnbc, "tnbc"), (monuseg, "monuseg")):
        found = tiles(module, drawn / folder)
        red = np.array([tile.image[..., 0] for tile in found]).astype(float)
        inside = np.array([tile.class_map for tile in found]) > 0
        assert red[inside].mean() < red[~inside].mean() - 40


def test_a_patient_has_one_stain_and_two_patients_differ(drawn: Path) -> None:
    colours: dict[str, list[Any]] = {}
    for tile in tiles(tnbc, drawn / "tnbc"):
        colours.setdefault(tile.patient, []).append(tile.image[tile.class_map > 0].mean(axis=0))
    means = np.array([np.mean(found, axis=0) for found in colours.values()])
    within = np.mean([np.std(found, axis=0).mean() for found in colours.values() if len(found) > 1])
    assert means.std(axis=0).mean() > within


def test_the_same_seed_draws_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    draw_tnbc(tmp_path / "tnbc", 7, TNBC_SIZE, 0.3)
    draw_monuseg(tmp_path / "monuseg", 7, MONUSEG_SIZE, IMAGES)
    assert files(tmp_path) == files(drawn)
    draw_tnbc(tmp_path / "other", 8, TNBC_SIZE, 0.3)
    assert not set(files(tmp_path / "other").values()) & set(files(drawn / "tnbc").values())
