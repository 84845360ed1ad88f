import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tiles.objects import boxes_of, overlaps


def test_a_box_is_the_smallest_around_its_mask() -> None:
    masks = np.zeros((2, 5, 7), bool)
    masks[0, 1:3, 2:6] = True
    masks[1, 4, 0] = True
    assert boxes_of(masks).tolist() == [[2, 1, 6, 3], [0, 4, 1, 5]]
    assert boxes_of(masks[:0]).shape == (0, 4)


@given(st.integers(0, 4), st.integers(0, 1000))
def test_overlaps_are_the_iou_of_masks(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    instance_map = rng.integers(0, 4, (6, 7)).astype(np.int32)
    masks = rng.random((count, 6, 7)) < 0.5
    ids = np.unique(instance_map[instance_map > 0])
    found = overlaps(masks, instance_map, ids)
    assert found.shape == (count, len(ids))
    for row, mask in zip(found, masks, strict=True):
        for value, number in zip(row, ids, strict=True):
            truth = instance_map == number
            assert value == (mask & truth).sum() / (mask | truth).sum()
