"""A pixel is inside a polygon if its centre is: against exact fractions, and against Matplotlib."""

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from pipeline.slides.polygons import Ring, rasterise, window

corners = st.tuples(st.integers(-12, 44), st.integers(-12, 44)).map(lambda xy: (xy[0] / 4, xy[1] / 4))
rings = st.lists(corners, min_size=1, max_size=9).map(lambda ring: np.array(ring, float))
polygons = st.lists(rings, min_size=1, max_size=3)
DIAMOND = np.array([(4, 0), (8, 4), (4, 8), (0, 4)], float)  # its edges run through centres of pixels


def whole(polygon: list[Ring], height: int = 10, width: int = 9) -> Any:
    return rasterise(polygon, slice(0, height), slice(0, width))


def by_definition(polygon: list[Ring], row: int, column: int) -> bool:
    """Whether a ray to the left of the centre crosses an odd number of edges, in exact arithmetic."""
    x, y = Fraction(2 * column + 1, 2), Fraction(2 * row + 1, 2)
    crossings = 0
    for ring in polygon:
        points = [(Fraction(float(a)), Fraction(float(b))) for a, b in ring]
        for (xa, ya), (xb, yb) in zip(points, points[1:] + points[:1], strict=True):
            if (ya <= y) != (yb <= y):
                crossings += xa + (y - ya) * (xb - xa) / (yb - ya) <= x
    return crossings % 2 == 1


@given(polygons)
@example([DIAMOND])
@example([np.array([(0, 0), (6, 6), (6, 0), (0, 6)], float)])  # crosses itself
@example([DIAMOND, DIAMOND / 2 + 2])  # has a hole
def test_against_exact_fractions(polygon: list[Ring]) -> None:
    expected = [[by_definition(polygon, row, column) for column in range(9)] for row in range(10)]
    np.testing.assert_array_equal(whole(polygon), expected)


@given(st.lists(st.tuples(st.floats(-3, 23), st.floats(-3, 23)), min_size=3, max_size=12))
def test_against_matplotlib(points: list[tuple[float, float]]) -> None:
    ring = np.array(points)
    mask = whole([ring], 20, 20)
    y, x = np.mgrid[:20, :20] + 0.5
    centres = np.column_stack([x.ravel(), y.ravel()])
    expected = Outline(ring).contains_points(centres).reshape(20, 20)
    assert not ((mask != expected) & (distance_to_outline(ring, x, y) > 1e-9)).any()  # on the outline, either may be


def distance_to_outline(ring: Ring, x: Any, y: Any) -> Any:
    nearest = np.full(x.shape, np.inf)
    for (xa, ya), (xb, yb) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        length = (xb - xa) ** 2 + (yb - ya) ** 2
        along = 0.0 if length < 1e-300 else np.clip(((x - xa) * (xb - xa) + (y - ya) * (yb - ya)) / length, 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - xa - along * (xb - xa), y - ya - along * (yb - ya)))
    return nearest


@given(corners, corners, corners, corners)
def test_neighbours_share_no_pixel_and_leave_none_out(a: Any, b: Any, c: Any, d: Any) -> None:
    halves = whole([np.array([a, b, c])]).astype(int) + whole([np.array([a, c, d])])
    np.testing.assert_array_equal(halves % 2 == 1, whole([np.array([a, b, c, d])]))


def test_pixels_whose_borders_are_the_outline() -> None:
    mask = whole([np.array([(2, 3), (5, 3), (5, 7), (2, 7)], float)])
    assert mask.sum() == 12 and mask[3:7, 2:5].all()


@given(polygons)
def test_a_window_holds_all_pixels_and_cuts_none_differently(polygon: list[Ring]) -> None:
    rows, columns = window(polygon, 10, 9)
    mask = np.zeros((10, 9), bool)
    mask[rows, columns] = rasterise(polygon, rows, columns)
    np.testing.assert_array_equal(mask, whole(polygon))


def test_a_polygon_outside_has_an_empty_window() -> None:
    for move in (-100, 100):
        rows, columns = window([DIAMOND + move], 10, 9)
        assert rasterise([DIAMOND + move], rows, columns).size == 0


def test_order_and_direction_do_not_matter() -> None:
    np.testing.assert_array_equal(whole([DIAMOND[::-1], DIAMOND / 2 + 2]), whole([DIAMOND / 2 + 2, DIAMOND]))
