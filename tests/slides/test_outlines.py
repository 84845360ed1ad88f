"""Outlines along the edges of pixels: valid whatever the map is, and the map comes back exactly."""

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label

from pipeline.slides.outlines import outlines, without_straight
from pipeline.slides.polygons import rasterise


def check(class_map: np.ndarray) -> int:
    """Outline every 4-connected region of a map; all are valid and give the map back. How many there are."""
    labels = np.zeros(class_map.shape, np.int32)
    for code in np.unique(class_map[class_map > 0]):
        pieces, _ = label(class_map == code)
        labels[pieces > 0] = pieces[pieces > 0] + labels.max()
    back, names = np.zeros_like(labels), []
    for name, rings in outlines(labels):
        polygon = shapely.Polygon(rings[0], rings[1:])
        assert polygon.is_valid, shapely.is_valid_reason(polygon)
        assert polygon.area == np.count_nonzero(labels == name)
        window = slice(0, labels.shape[0]), slice(0, labels.shape[1])
        inside = rasterise([ring.astype(float) for ring in rings], *window)
        assert not back[inside].any()
        back[inside] = name
        names.append(name)
        for ring in rings:
            assert np.array_equal(without_straight(ring.astype(float)), ring)
    assert np.array_equal(back, labels)
    firsts = [int(np.flatnonzero(labels == name)[0]) for name in names]
    assert firsts == sorted(firsts)
    return len(names)


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2)))
@settings(max_examples=300, deadline=None)
def test_any_map_comes_back_from_valid_polygons(class_map: np.ndarray) -> None:
    check(class_map)


def test_ten_thousand_polygons_of_noise_are_valid() -> None:
    rng = np.random.default_rng(0)
    assert sum(check(rng.integers(0, classes, (64, 64))) for classes in (2, 2, 3, 3, 4, 5, 6, 7)) > 10_000


def test_a_ring_that_would_touch_itself_is_parted() -> None:
    ring = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 1, 1]], np.int32)  # 0 reaches out at a corner
    ((_, (outer, hole)),) = list(outlines(ring))
    assert shapely.Polygon(outer, [hole]).is_valid
    assert shapely.Polygon(hole).area == 3 and shapely.Polygon(outer).area == 15


def test_a_pixel_is_a_square() -> None:
    ((name, (square,)),) = list(outlines(np.array([[0, 0], [0, 7]], np.int32)))
    assert name == 7
    assert square.tolist() == [[1, 1], [2, 1], [2, 2], [1, 2]]


def test_nothing_has_no_outline() -> None:
    assert list(outlines(np.zeros((3, 3), np.int32))) == []
