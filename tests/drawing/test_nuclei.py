"""Nuclei have their sizes, and none is painted over another."""

import numpy as np
import pytest

from pipeline.drawing.canvas import Canvas, Vector
from pipeline.drawing.nuclei import NUCLEI, paint_nucleus
from pipeline.drawing.tissue import cytoplasm


@pytest.mark.parametrize("kind", NUCLEI)
def test_a_nucleus_has_its_size_at_any_pixel_size(kind: str) -> None:
    areas = []
    for pixel in (0.25, 0.5):
        side = int(32 / pixel)
        canvas = Canvas.blank(side, side, pixel)
        assert paint_nucleus(canvas, np.random.default_rng(3), kind, Vector(16, 16), Vector(1, 0))
        areas.append((canvas.instances > 0).sum() * pixel * pixel)
    assert areas[0] == pytest.approx(areas[1], rel=0.5)
    largest = NUCLEI[kind].length[1]
    assert 1 < areas[0] < 1.5 * largest * largest


def test_no_nucleus_is_painted_over_another_or_on_glass() -> None:
    canvas, rng = Canvas.blank(64, 64, 0.25), np.random.default_rng(1)
    assert paint_nucleus(canvas, rng, "epithelial", Vector(8, 8), Vector(1, 0))
    assert not paint_nucleus(canvas, rng, "inflammatory", Vector(8, 8), Vector(1, 0))
    assert not paint_nucleus(canvas, rng, "epithelial", Vector(-30, 8), Vector(1, 0))
    canvas.bare[:] = True
    assert not paint_nucleus(canvas, rng, "inflammatory", Vector(12, 12), Vector(1, 0))
    assert len(canvas.nuclei) == 1


def test_cytoplasm_leaves_earlier_nuclei_as_they_are() -> None:
    canvas, rng = Canvas.blank(64, 64, 0.25), np.random.default_rng(1)
    assert paint_nucleus(canvas, rng, "epithelial", Vector(8, 8), Vector(1, 0))
    nucleus = canvas.instances > 0
    before = canvas.haematoxylin.copy()
    cytoplasm(canvas, rng, np.ones((64, 64)), 0.2, 0.8)
    assert (canvas.haematoxylin[nucleus] == before[nucleus]).all()
    assert (canvas.haematoxylin[~nucleus] != before[~nucleus]).any()
