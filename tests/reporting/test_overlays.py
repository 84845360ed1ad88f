"""Merged and split nuclei in their colours."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.reporting import overlays, pictures


@pytest.fixture
def overlay() -> overlays.Overlay:
    """Left to right: two nuclei under one prediction, one nucleus under two, one that is found as it is."""
    truth, found = np.zeros((20, 60), np.int32), np.zeros((20, 60), np.int32)
    truth[4:16, 2:9], truth[4:16, 9:16], found[2:18, 1:18] = 1, 2, 5
    truth[4:16, 22:38], found[5:15, 23:29], found[5:15, 32:37] = 3, 7, 9
    truth[4:16, 42:58], found[5:15, 44:56] = 4, 11
    return overlays.Overlay("an image", np.full((20, 60, 3), 200, np.uint8), truth, found)


def test_each_kind_has_its_colour(overlay: overlays.Overlay) -> None:
    painted = overlays.paint(overlay, 1)
    colours = {name: tuple(map(int, colour)) for name, colour in overlays.COLOURS.items()}

    def seen(left: int, right: int) -> set[tuple[int, ...]]:
        return {tuple(map(int, colour)) for colour in painted[:, left:right].reshape(-1, 3)} - {(200, 200, 200)}

    black = colours["true nucleus"]
    assert seen(0, 20) == {black, colours["found, merges several"]}
    assert seen(20, 40) == {black, colours["found, part of a split one"]}
    assert seen(40, 60) == {black, colours["found"]}


def test_borders_are_inside_and_between_touching_nuclei() -> None:
    marked = overlays.borders(np.array([[0, 1, 1, 1, 2], [0, 1, 1, 1, 2], [0, 1, 1, 1, 2]], np.int32))
    assert marked.tolist() == [
        [False, True, True, True, True],
        [False, True, False, True, True],
        [False, True, True, True, True],
    ]


def test_a_sheet_is_the_same_bytes_twice(overlay: overlays.Overlay, tmp_path: Path) -> None:
    square = overlays.Overlay("a", np.full((20, 20, 3), 9, np.uint8), overlay.truth[:, :20], overlay.found[:, :20])
    for name in ("one.png", "two.png"):
        pictures.save(overlays.sheet([square] * 3), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert not picture.info and picture.width > 2 * overlays.SIDE - 40
