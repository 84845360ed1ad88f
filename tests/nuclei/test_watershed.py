"""From a foreground to instances, and from instances to their classes."""

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.nuclei import watershed

Mask = npt.NDArray[np.bool_]
masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape))


def discs(*centres_and_radii: tuple[float, float, float], side: int = 48) -> Mask:
    rows, columns = np.indices((side, side))
    return np.any([(rows - y) ** 2 + (columns - x) ** 2 <= r**2 for y, x, r in centres_and_radii], axis=0)


def neighbours(foreground: Mask) -> npt.NDArray[np.int32]:
    """4-connected components by flooding, numbered in reading order."""
    labels = np.zeros(foreground.shape, np.int32)
    number = 0
    for start in map(tuple, np.argwhere(foreground).tolist()):
        if labels[start]:
            continue
        number += 1
        waiting = [start]
        while waiting:
            y, x = waiting.pop()
            inside = 0 <= y < foreground.shape[0] and 0 <= x < foreground.shape[1]
            if inside and foreground[y, x] and not labels[y, x]:
                labels[y, x] = number
                waiting += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return labels


@given(masks)
def test_components_agree_with_flooding(foreground: Mask) -> None:
    found = watershed.instances(foreground, "components", minimum_size=1)
    assert found.dtype == np.int32
    assert np.array_equal(found, neighbours(foreground))


@given(masks, st.sampled_from([0.25, 1.0, 3.0]))
def test_watershed_only_cuts_components(foreground: Mask, depth: float) -> None:
    found = watershed.instances(foreground, "watershed", minimum_size=1, depth=depth)
    assert np.array_equal(found > 0, foreground), "no pixel is lost or won"
    components = neighbours(foreground)
    for number in range(1, found.max() + 1):
        piece = found == number
        assert neighbours(piece).max() == 1, "a piece hangs together"
        assert len(np.unique(components[piece])) == 1, "a piece lies in one component"


def test_touching_discs_are_parted() -> None:
    two = discs((20, 14, 9), (20, 29, 9))
    assert watershed.instances(two, "components").max() == 1
    parted = watershed.instances(two, "watershed")
    assert parted.max() == 2
    assert parted[20, 10] != parted[20, 33]
    cut = np.nonzero((parted[:, :-1] > 0) & (parted[:, 1:] > 0) & (parted[:, :-1] != parted[:, 1:]))[1]
    assert (abs(cut + 0.5 - 21.5) <= 1.5).all(), "the cut is at the neck"
    assert watershed.instances(two, "watershed", depth=20).max() == 1


def test_a_single_nucleus_stays_whole() -> None:
    rows, columns = np.indices((48, 48))
    assert watershed.instances(discs((24, 24, 15)), "watershed").max() == 1
    assert watershed.instances((rows - 24) ** 2 / 4 + (columns - 24) ** 2 <= 64, "watershed").max() == 1
    assert watershed.instances(discs((0, 0, 12)), "watershed").max() == 1, "cut by the edge of the tile"


@pytest.mark.parametrize("method", watershed.METHODS)
def test_small_instances_are_dropped(method: str) -> None:
    foreground = discs((10, 10, 6), (30, 30, 6))
    foreground[0, 40:44] = True
    found = watershed.instances(foreground, method, minimum_size=5)
    assert sorted(np.unique(found)) == [0, 1, 2]
    assert not found[0].any()
    assert watershed.instances(foreground, method, minimum_size=4).max() == 3
    assert watershed.instances(foreground, method, minimum_size=10_000).max() == 0


@pytest.mark.parametrize("method", watershed.METHODS)
def test_empty_full_and_single_pixel(method: str) -> None:
    assert not watershed.instances(np.zeros((5, 7), bool), method, 1).any()
    assert (watershed.instances(np.ones((5, 7), bool), method, 1) == 1).all()
    assert watershed.instances(np.ones((1, 1), bool), method, 1).tolist() == [[1]]
    assert watershed.instances(np.array([[True, False], [False, True]]), method, 1).max() == 2, "corners do not touch"


def test_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="no method 'magic'"):
        watershed.instances(np.ones((2, 2), bool), "magic")


@given(
    arrays(np.int32, (5, 5), elements=st.sampled_from([0, 1, 2, 70_000])),
    arrays(np.uint8, (5, 5), elements=st.sampled_from([0, 1, 2, 5, 255])),
)
def test_class_is_the_majority_of_pixels(instance_map: npt.NDArray[np.int32], class_map: npt.NDArray[np.uint8]) -> None:
    expected = {}
    for number in set(instance_map.ravel().tolist()) - {0}:
        votes = Counter(class_map[instance_map == number].tolist())
        votes.pop(0, None)
        votes.pop(255, None)
        if votes:
            expected[number] = min(code for code, n in votes.items() if n == max(votes.values()))
    assert watershed.classes_of(instance_map, class_map) == expected


@pytest.mark.real
def test_watershed_parts_touching_nuclei_of_real_tiles(real_data: Path) -> None:
    from pipeline.metrics import instance

    masks = np.load(real_data / "pannuke" / "Fold 3" / "masks" / "fold3" / "masks.npy", mmap_mode="r")
    counts = {method: np.zeros(6) for method in watershed.METHODS}
    for tile in masks:
        truth = np.asarray(tile[..., :5]).max(axis=-1).astype(np.int32)
        for method in watershed.METHODS:
            counts[method] += instance.count(instance.overlaps(truth, watershed.instances(truth > 0, method)))
    quality = {method: float(instance.panoptic_quality(total).pq) for method, total in counts.items()}
    assert quality["watershed"] > quality["components"] + 0.02
