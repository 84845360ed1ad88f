import numpy as np

from pipeline.tiles.objects import boxes_of, true_objects


class OneExample:
    """An example with two nuclei and one that was lost."""

    def instances(self, position: int) -> tuple[np.ndarray, dict[int, int]]:
        instance_map = np.zeros((4, 6), np.int32)
        instance_map[1:3, 1:3], instance_map[0, 5] = 7, 4
        return instance_map, {4: 2, 7: 1, 9: 1}


def test_a_nucleus_has_its_class_mask_and_box() -> None:
    found = true_objects(OneExample(), 0)  # type: ignore[arg-type]
    assert found.labels.tolist() == [2, 1]
    assert found.boxes.tolist() == [[5, 0, 6, 1], [1, 1, 3, 3]]
    assert found.masks.sum(axis=(1, 2)).tolist() == [1, 4]
    assert found.scores.tolist() == [1, 1]


def test_a_box_is_the_smallest_around_its_mask() -> None:
    masks = np.zeros((2, 5, 7), bool)
    masks[0, 1:3, 2:6] = True
    masks[1, 4, 0] = True
    assert boxes_of(masks).tolist() == [[2, 1, 6, 3], [0, 4, 1, 5]]
    assert boxes_of(masks[:0]).shape == (0, 4)
