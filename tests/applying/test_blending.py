"""Overlapping tiles give one map: without a seam, and the same whatever the block is."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.applying.blending import FULL, Blender, Predict, weights
from pipeline.applying.reading import Pixels
from pipeline.applying.windows import Window, squares
from pipeline.slides.slide import Slide
from pipeline.tiles.store import IGNORE
from tests.slide_files import speckled, write_tiff

SIZE, OVERLAP = 32, 8
WHOLE = Window(0, 0, 80, 90)
TILES = [(row, column) for row in range(0, 80, SIZE - OVERLAP) for column in range(0, 90, SIZE - OVERLAP)]


def by_place(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Of two classes the first at the left of a tile, the second at its right: neighbours contradict each other."""
    ramp = np.broadcast_to(np.linspace(0, 1, SIZE), (len(images), SIZE, SIZE))
    noise = images.mean(axis=-1) / 1000
    second = np.clip(ramp * 0.8 + noise, 0, 1)
    return np.rint(np.stack([1 - second, second], axis=1) * FULL).astype(np.uint16)


def blend(
    path: Path, windows: list[Window], tiles: list[tuple[int, int]], predict: Predict = by_place
) -> npt.NDArray[np.uint8]:
    """Class map and probabilities, (2, H, W), made in windows."""
    found = np.zeros((2, WHOLE.height, WHOLE.width), np.uint8)
    with Slide(path) as slide, ThreadPoolExecutor(2) as pool, tempfile.TemporaryFile() as file:
        blender = Blender(predict, Pixels(slide, 0.5, False, pool, 4), 2, SIZE, OVERLAP, 3, file)
        for window in windows:
            own = [tile for tile in tiles if window.part_of(Window(*tile, SIZE, SIZE)).height]
            own = [tile for tile in own if window.part_of(Window(*tile, SIZE, SIZE)).width]
            found[:, window.rows_from(0), window.columns_from(0)] = blender.block(window, own, lambda count: None)
    return found


def test_blocks_and_the_order_of_tiles_and_blocks_change_nothing(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "slide.tif", speckled(WHOLE.height, WHOLE.width), 0.5)
    whole = blend(path, [WHOLE], TILES)
    for side in (17, 48):
        windows = [window for _, window in squares(WHOLE.height, WHOLE.width, side)]
        assert np.array_equal(blend(path, windows, TILES), whole)
        assert np.array_equal(blend(path, windows[::-1], TILES[::-1]), whole)


def test_a_tile_is_predicted_once_as_long_as_it_is_kept_and_the_same_where_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, predicted = write_tiff(tmp_path / "slide.tif", speckled(WHOLE.height, WHOLE.width), 0.5), []
    windows = [window for _, window in squares(WHOLE.height, WHOLE.width, 32)]

    def counted(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
        predicted.append(len(images))
        return by_place(images)

    whole, often = blend(path, windows, TILES, counted), sum(predicted)
    assert often == len(TILES)
    monkeypatch.setattr("pipeline.applying.blending.KEPT", 3 * 2 * 2 * SIZE**2)  # three tiles
    assert np.array_equal(blend(path, windows, TILES, counted), whole) and sum(predicted) > 2 * often


def test_a_tile_gives_way_to_its_neighbour_step_by_step(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "slide.tif", np.full((80, 90, 3), 100, np.uint8), 0.5)
    classes, probability = blend(path, [WHOLE], TILES).astype(int)
    second = np.where(classes == 1, probability, 255 - probability)[40]
    steps = np.abs(np.diff(second[: SIZE + SIZE - OVERLAP]))
    assert steps.max() < 0.3 * (second.max() - second.min())  # side by side, they would differ by all of it


def test_weights_rise_from_the_border_to_the_overlaps_end() -> None:
    line = weights(SIZE, OVERLAP)[SIZE // 2] // weights(SIZE, OVERLAP)[SIZE // 2, 0]
    assert line[0] == line[-1] == 1 and (np.diff(line[:OVERLAP].astype(int)) > 0).all()
    assert (line[OVERLAP - 1 : -OVERLAP + 1] == line.max()).all()
    assert (weights(SIZE, 0) == weights(SIZE, 0)[0, 0]).all()
    assert 4 * int(weights(64, 32).max()) * FULL < 2**32  # four tiles meet at most


def test_what_no_tile_covers_is_ignored(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "slide.tif", speckled(WHOLE.height, WHOLE.width), 0.5)
    classes, probability = blend(path, [WHOLE], TILES[:1])
    assert (classes[SIZE:] == IGNORE).all() and (classes[:SIZE, :SIZE] < 2).all()
    assert not probability[SIZE:].any()
