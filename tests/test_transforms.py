"""Transforms move pixels and change none."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.transforms import IDENTITY, NAMED, transform

MAPS = arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6)))


@given(MAPS, st.sampled_from(sorted(NAMED)))
def test_no_pixel_is_lost(array: np.ndarray, name: str) -> None:
    result = transform(array, NAMED[name])
    assert sorted(result.ravel()) == sorted(array.ravel())
    assert result.dtype == array.dtype


@given(MAPS)
def test_each_transform_has_its_inverse(array: np.ndarray) -> None:
    for there, back in [
        ("rotate90", "rotate270"),
        ("rotate180", "rotate180"),
        ("flip_horizontal", "flip_horizontal"),
        ("flip_vertical", "flip_vertical"),
    ]:
        np.testing.assert_array_equal(transform(transform(array, NAMED[there]), NAMED[back]), array)


def test_each_transform_does_what_its_name_says() -> None:
    array = np.array([[1, 2], [3, 4]])
    expected = {
        "rotate90": [[2, 4], [1, 3]],
        "rotate180": [[4, 3], [2, 1]],
        "rotate270": [[3, 1], [4, 2]],
        "flip_horizontal": [[2, 1], [4, 3]],
        "flip_vertical": [[3, 4], [1, 2]],
    }
    assert {name: transform(array, recipe).tolist() for name, recipe in NAMED.items()} == expected
    assert transform(array, IDENTITY).tolist() == array.tolist()


def test_the_turn_comes_before_the_flip() -> None:
    array = np.array([[1, 2], [3, 4]])
    both = transform(array, json.dumps({"flip": "horizontal", "rotate": 90}))
    assert both.tolist() == transform(transform(array, NAMED["rotate90"]), NAMED["flip_horizontal"]).tolist()


def test_an_image_turns_as_its_class_map_does() -> None:
    class_map = np.arange(16, dtype=np.uint8).reshape(4, 4)
    image = np.stack([class_map] * 3, axis=-1)
    for recipe in NAMED.values():
        np.testing.assert_array_equal(transform(image, recipe)[..., 1], transform(class_map, recipe))


@pytest.mark.parametrize("recipe", ['{"rotate": 45}', '{"flip": "diagonal"}', '{"shear": 3}'])
def test_an_unknown_transform_is_refused(recipe: str) -> None:
    with pytest.raises(ValueError, match=r"rotation|flip|unknown"):
        transform(np.zeros((2, 2)), recipe)
