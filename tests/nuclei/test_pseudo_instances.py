"""Nuclei found by colour are those that were drawn, and glass or stroma without nuclei has none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.datasets.monuseg import reader as monuseg
from pipeline.datasets.tnbc import reader as tnbc
from pipeline.drawing import lesions
from pipeline.drawing.canvas import Canvas, Vector
from pipeline.drawing.nuclei import paint_nucleus
from pipeline.drawing.stain import Stain, photograph
from pipeline.drawing.tissue import stroma
from pipeline.metrics.detection import match, nuclei
from pipeline.nuclei.pseudo_instances import find_nuclei

PIXEL = 0.42  # µm


def f1(pairs: list[tuple[Any, Any]], microns_per_pixel: float) -> float:
    """Detection F1 over pairs of true and found instance maps: centroids at most 3 µm apart."""
    right = of = 0
    for truth, found in pairs:
        there, seen = nuclei(truth, {}).centroids, nuclei(found, {}).centroids
        right += 2 * len(match(there, seen, 3 / microns_per_pixel)[0])
        of += len(there) + len(seen)
    return right / of


def grid(seed: int, kind: str, step: float = 14.0) -> tuple[Any, Any]:
    """A picture of nuclei of one kind that do not touch, and their instance map."""
    rng = np.random.default_rng(seed)
    canvas = Canvas.blank(192, 256, PIXEL)
    stroma(canvas, rng, Vector(0.6, 0.8), 0.6, 0.3)
    for y in np.arange(8, canvas.size.y - 8, step):
        for x in np.arange(8, canvas.size.x - 8, step):
            paint_nucleus(canvas, rng, kind, Vector(float(y), float(x)), Vector(0.6, 0.8))
    return photograph(canvas, rng, Stain.random(rng), 0.5), canvas.instances


@pytest.mark.parametrize(("kind", "least"), [("neoplastic", 0.93), ("inflammatory", 0.97), ("epithelial", 0.97)])
def test_nuclei_that_stand_apart_are_all_found(kind: str, least: float) -> None:
    pairs = [(truth, find_nuclei(image, PIXEL)) for image, truth in (grid(seed, kind) for seed in range(4))]
    assert f1(pairs, PIXEL) >= least
    for truth, found in pairs:
        inside, seen = truth > 0, found > 0
        assert (inside & seen).sum() / (inside | seen).sum() > 0.7


@pytest.mark.parametrize(
    ("scene", "least"), [(lesions.normal, 0.7), (lesions.benign, 0.55), (lesions.in_situ, 0.7), (lesions.invasive, 0.7)]
)
def test_most_nuclei_of_a_crowded_tissue_are_found(scene: Any, least: float) -> None:
    pairs = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        canvas = Canvas.blank(192, 256, PIXEL)
        scene(canvas, rng)
        pairs.append((canvas.instances, find_nuclei(photograph(canvas, rng, Stain.random(rng), 0.4), PIXEL)))
    assert f1(pairs, PIXEL) >= least


def test_glass_and_stroma_without_nuclei_have_none() -> None:
    assert not find_nuclei(np.full((64, 64, 3), 245, np.uint8), PIXEL).any()
    assert not find_nuclei(np.zeros((64, 64, 3), np.uint8) + np.uint8([230, 150, 190]), PIXEL).any()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        canvas = Canvas.blank(128, 128, PIXEL)
        stroma(canvas, rng, Vector(0.6, 0.8), 0.7, 0.5)
        found = find_nuclei(photograph(canvas, rng, Stain.random(rng), 0.5), PIXEL)
        assert len(np.unique(found)) - 1 <= 1


def test_areas_are_bounded_and_ids_have_no_gap() -> None:
    image, _ = grid(1, "neoplastic")
    found = find_nuclei(image, PIXEL, smallest=20, largest=45)
    numbers, pixels = np.unique(found[found > 0], return_counts=True)
    assert found.dtype == np.int32 and found.shape == image.shape[:2]
    assert numbers.tolist() == list(range(1, len(numbers) + 1)) and len(numbers) > 5
    assert pixels.min() * PIXEL**2 >= 20 and pixels.max() * PIXEL**2 <= 45
    assert len(np.unique(find_nuclei(image, PIXEL))) > len(numbers)


def test_the_same_image_gives_the_same_nuclei() -> None:
    image, _ = grid(2, "epithelial")
    np.testing.assert_array_equal(find_nuclei(image, PIXEL), find_nuclei(image.copy(), PIXEL))


@pytest.mark.real
def test_real_nuclei_are_found_less_well(real_data: Path) -> None:
    """Six breast images of TNBC and MoNuSeg, whose nuclei people outlined."""
    chosen = [patient for patient in tnbc.find(real_data / "tnbc") if patient.name in ("patient01", "patient04")]
    tiles = [tile for source in chosen for tile in list(source.tiles())[:2]]
    tiles += [tile for slide in monuseg.find(real_data / "monuseg")[:2] for tile in slide.tiles()]
    scores = f1([(tile.instance_map, find_nuclei(tile.image, 0.25)) for tile in tiles], 0.25)
    assert 0.6 < scores < 0.95
