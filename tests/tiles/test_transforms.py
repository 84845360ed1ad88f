"""Transforms move pixels and change none."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.tiles.store import IGNORE
from pipeline.tiles.transforms import IDENTITY, NAMED, transform

EXACT = sorted(name for name in NAMED if name.startswith(("flip", "rotate")) and name != "rotate45")
MAPS = arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6)))


@given(MAPS, st.sampled_from(EXACT))
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
    assert {name: transform(array, NAMED[name]).tolist() for name in expected} == expected
    assert transform(array, IDENTITY).tolist() == array.tolist()


def test_the_turn_comes_before_the_flip() -> None:
    array = np.array([[1, 2], [3, 4]])
    both = transform(array, json.dumps({"flip": "horizontal", "rotate": 90}))
    assert both.tolist() == transform(transform(array, NAMED["rotate90"]), NAMED["flip_horizontal"]).tolist()


def test_an_image_turns_as_its_class_map_does() -> None:
    class_map = np.arange(16, dtype=np.uint8).reshape(4, 4)
    image = np.stack([class_map] * 3, axis=-1)
    for recipe in (NAMED[name] for name in EXACT):  # others mix an image's pixels
        np.testing.assert_array_equal(transform(image, recipe)[..., 1], transform(class_map, recipe))


@pytest.mark.parametrize("recipe", ['{"rotate": 30}', '{"flip": "diagonal"}', '{"shear": 3}'])
def test_an_unknown_transform_is_refused(recipe: str) -> None:
    with pytest.raises(ValueError, match=r"rotation|flip|unknown"):
        transform(np.zeros((2, 2)), recipe)


def test_the_corners_of_a_tile_turned_by_45_degrees_are_white_ignored_and_empty() -> None:
    side = 64
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.maximum(abs(x + y), abs(x - y)) < side / np.sqrt(2) - 2
    outside = np.maximum(abs(x + y), abs(x - y)) > side / np.sqrt(2) + 2
    recipe = NAMED["rotate45"]
    class_map = transform(np.ones((side, side), np.uint8), recipe)
    assert (class_map[inside] == 1).all() and (class_map[outside] == IGNORE).all()
    image = transform(np.full((side, side, 3), 100, np.uint8), recipe)
    assert (image[inside] == 100).all() and (image[outside] == 255).all()
    instances = transform(np.full((side, side), 70_000, np.int32), recipe)
    assert instances.dtype == np.int32
    assert (instances[inside] == 70_000).all() and (instances[outside] == 0).all()


def test_45_degrees_are_counter_clockwise_and_half_of_90() -> None:
    array = np.zeros((65, 65), np.uint8)
    array[30:35, 40:] = 1  # a bar that points to the right, and then up and right
    turned = transform(array, NAMED["rotate45"])
    assert turned[18, 46] == 1 and turned[32, 46] == 0
    twice = transform(turned, NAMED["rotate45"])
    straight = transform(array, NAMED["rotate90"])
    assert (twice != straight)[20:45, 20:45].mean() < 0.03


@pytest.mark.parametrize(("name", "radius"), [("enlarge", 20), ("shrink", 12.8)])
def test_scaling_keeps_the_centre_and_takes_the_nuclei_along(name: str, radius: float) -> None:
    y, x = np.mgrid[:60, :80]
    disk = (y - 29.5) ** 2 + (x - 39.5) ** 2 < 16**2
    image, nuclei = (
        transform(array, NAMED[name])
        for array in (np.where(disk, 0, 200)[..., None].repeat(3, -1).astype(np.uint8), disk.astype(np.int32))
    )
    assert image.shape == (60, 80, 3) and nuclei.dtype == np.int32
    assert abs(nuclei.sum() - np.pi * radius**2) < 0.03 * np.pi * radius**2
    np.testing.assert_allclose(np.argwhere(nuclei).mean(axis=0), (29.5, 39.5), atol=0.5)
    assert ((image[..., 0] < 100) != (nuclei > 0)).mean() < 0.02
    if name == "shrink":
        assert transform(disk.astype(np.uint8), NAMED[name])[0, 0] == IGNORE
        assert image[0, 0].tolist() == [255] * 3 and nuclei[0, 0] == 0


def test_colours_change_in_an_image_and_in_no_map() -> None:
    purple = np.full((4, 5, 3), (150, 80, 160), np.uint8)
    redder, bluer = (transform(purple, NAMED[name])[0, 0].astype(int) for name in ("redder", "bluer"))
    assert redder[0] - redder[2] > 150 - 160 > bluer[0] - bluer[2]
    assert np.ptp(redder) > np.ptp(purple[0, 0].astype(int)) > np.ptp(bluer)
    for name in ("redder", "bluer"):
        class_map = np.arange(20, dtype=np.uint8).reshape(4, 5)
        np.testing.assert_array_equal(transform(class_map, NAMED[name]), class_map)


def test_a_hue_that_stays_leaves_the_image_nearly_as_it_is() -> None:
    image = np.random.default_rng(0).integers(60, 250, (8, 8, 3), np.uint8)
    assert abs(transform(image, '{"hue": 0, "saturation": 1}').astype(int) - image).max() <= 6
