"""A plan's row rebuilds its example exactly."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import Problem
from pipeline.tiles.examples import Examples, resize_image, resize_map
from pipeline.tiles.store import IGNORE, ShardInfo, Tile
from pipeline.tiles.transforms import NAMED, transform
from pipeline.tiles.writer import ShardWriter
from tests.tiles.test_plan import make_plan


@pytest.fixture
def store(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    info = ShardInfo("pannuke", ("background", "nucleus"), 0.25, 40, "sample", "0" * 64, "none: drawn tiles", "", "")
    with ShardWriter(tmp_path / "pannuke/fold1.h5", 6, 8, info) as writer:
        for index in range(6):
            image = random.integers(0, 256, (8, 8, 3), np.uint8)
            instances = random.integers(0, 3, (8, 8)).astype(np.int32)
            writer.add(Tile(image, (instances > 0).astype(np.uint8), instances, {1: 1, 2: 1}, index))
    return tmp_path


def test_image_and_maps_are_transformed_alike(store: Path) -> None:
    plain = Examples(make_plan(), 8, store)
    turned = Examples(make_plan(transform=NAMED["rotate90"]), 8, store)
    for i in range(len(plain)):
        np.testing.assert_array_equal(turned.image(i), transform(plain.image(i), NAMED["rotate90"]))
        np.testing.assert_array_equal(turned.class_map(i), transform(plain.class_map(i), NAMED["rotate90"]))
        np.testing.assert_array_equal(turned.class_map(i), turned.instance_map(i) > 0)


def test_an_item_is_what_training_needs(store: Path) -> None:
    image, class_map = Examples(make_plan(), 4, store)[3]
    assert (image.shape, image.dtype) == ((4, 4, 3), np.uint8)
    assert (class_map.shape, class_map.dtype) == ((4, 4), np.uint8)


def test_a_reader_crosses_into_a_worker_without_its_open_file(store: Path) -> None:
    examples = Examples(make_plan(), 8, store)
    first = examples.image(0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(examples)).image(0), first)


def test_a_target_is_told_from_all_else_by_its_bit(tmp_path: Path) -> None:
    info = ShardInfo(
        "pannuke", ("background", "N", "UDH", "DCIS"), 0.25, 40, "sample", "0" * 64, "none: drawn tiles", "", ""
    )
    classes = np.array([[0, 1], [3, IGNORE]], np.uint8).repeat(4, 0).repeat(4, 1)  # DCIS, drawn later, hides UDH
    bits = np.array([[0, 1], [2 + 4, 0]], np.uint8).repeat(4, 0).repeat(4, 1)
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    with ShardWriter(tmp_path / "pannuke/fold1.h5", 6, 8, info, bits=True) as writer:
        for index in range(6):
            writer.add(Tile(image, classes, np.zeros((8, 8), np.int32), {}, index, bits=bits))
    turned = make_plan(transform=NAMED["flip_horizontal"])
    examples = Examples(turned, 2, tmp_path, target="UDH", greyscale=True)
    assert examples.class_map(0).tolist() == [[0, 0], [IGNORE, 1]]
    assert examples.native(0)[1][4:].tolist() == [[IGNORE] * 4 + [1] * 4] * 4
    grey = examples.image(0)
    assert grey.shape == (2, 2, 3) and (grey == grey[..., :1]).all()
    brightness = image.astype(float) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(examples.native(0)[0][..., 0], brightness[:, ::-1], atol=1)
    assert examples[0][1].tolist() == examples.class_map(0).tolist()


def test_a_target_needs_areas_of_lesions(store: Path) -> None:
    with pytest.raises(Problem, match="has no areas of lesions"):
        Examples(make_plan(), 8, store, target="nucleus").class_map(0)


def test_shrinking_an_image_averages_areas() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = [[[0], [100]], [[100], [200]]]
    assert resize_image(image, 2)[0, 0].tolist() == [100, 100, 100]


def test_resizing_a_map_invents_no_class() -> None:
    class_map = np.where(np.indices((9, 9)).sum(axis=0) % 2, 5, IGNORE).astype(np.uint8)
    for size in (4, 9, 20):
        assert set(np.unique(resize_map(class_map, size))) <= {5, IGNORE}


def test_a_tile_that_is_not_square_keeps_its_shape(tmp_path: Path) -> None:
    info = ShardInfo("bach", ("background", "normal"), 0.42, 20, "sample", "0" * 64, "none: drawn tiles", "", "")
    instances = np.zeros((12, 16), np.int32)
    instances[:6, :8], instances[6:, 8:] = 1, 70_000
    with ShardWriter(tmp_path / "bach/normal.h5", 1, (12, 16), info) as writer:
        writer.add(
            Tile(np.zeros((12, 16, 3), np.uint8), (instances > 0).astype(np.uint8), instances, {1: 1, 70_000: 1}, 0)
        )
    plan = make_plan(1, dataset="bach", shard="normal", transform=NAMED["flip_horizontal"])
    examples = Examples(plan, 6, tmp_path)
    image, class_map = examples[0]
    assert (image.shape, class_map.shape, examples.size) == ((6, 8, 3), (6, 8), (6, 8))
    small, classes = examples.instances(0)
    assert (small.shape, small.dtype, classes) == ((6, 8), np.int32, {1: 1, 70_000: 1})
    np.testing.assert_array_equal(small > 0, class_map > 0)
    assert (small[0, 7], small[5, 0], small[0, 0]) == (1, 70_000, 0)


def test_pixels_of_an_ignored_class_become_255(store: Path) -> None:
    plain, ignoring = Examples(make_plan(), 8, store), Examples(make_plan(), 8, store, ignore=(1,))
    for i in range(len(plain)):
        np.testing.assert_array_equal(ignoring.class_map(i), np.where(plain.class_map(i) == 1, IGNORE, 0))
        np.testing.assert_array_equal(ignoring.native(i)[1], ignoring.class_map(i))
        np.testing.assert_array_equal(ignoring.instance_map(i), plain.instance_map(i))
