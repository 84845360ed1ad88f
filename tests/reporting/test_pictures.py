"""Strips of tiles: colours, errors and the same bytes twice."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.reporting import pictures

CLASSES = ["background", "neoplastic", "inflammatory"]


@pytest.fixture
def row() -> pictures.Row:
    """Pixels, left to right: right background, right nucleus, missed, invented, wrong class, ignored."""
    truth = np.tile(np.array([0, 1, 1, 0, 1, 255], np.uint8), (6, 1))
    predicted = np.tile(np.array([0, 1, 0, 2, 2, 1], np.uint8), (6, 1))
    return pictures.Row("a tile", np.full((6, 6, 3), 90, np.uint8), truth, predicted)


def test_every_kind_of_error_has_its_colour(row: pictures.Row) -> None:
    shown = [tuple(int(part) for part in colour) for colour in pictures.paint_errors(row, CLASSES)[0]]
    paled = shown[0]
    assert shown == [
        paled,
        paled,
        *(pictures.ERROR_COLOURS[name] for name in ("missed", "invented", "wrong class")),
        paled,
    ]
    assert paled not in pictures.ERROR_COLOURS.values()


def test_classes_keep_their_colours_and_ignored_pixels_are_white(row: pictures.Row) -> None:
    shown = pictures.paint(row.truth, CLASSES)[0]
    assert tuple(shown[0]) == pictures.BACKGROUND_COLOUR
    assert tuple(shown[1]) == pictures.CLASS_COLOURS[0]
    assert tuple(shown[5]) == pictures.IGNORED_COLOUR


def test_no_colour_means_two_things() -> None:
    used = [
        *pictures.CLASS_COLOURS,
        *pictures.ERROR_COLOURS.values(),
        pictures.BACKGROUND_COLOUR,
        pictures.IGNORED_COLOUR,
    ]
    assert len(set(used)) == len(used)


def test_a_strip_is_the_same_bytes_twice_without_a_date(row: pictures.Row, tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        pictures.save(pictures.strip([row, row], CLASSES), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert not picture.info
        assert picture.width > 4 * pictures.PANEL_SIDE


def test_small_tiles_are_enlarged_without_mixing_pixels(row: pictures.Row) -> None:
    strip = np.asarray(pictures.strip([row], CLASSES))
    truth = strip[pictures.LINE * 2 + 5, pictures.GAP + pictures.PANEL_SIDE + pictures.GAP :][: pictures.PANEL_SIDE]
    assert {tuple(int(part) for part in colour) for colour in truth} == {
        pictures.BACKGROUND_COLOUR,
        pictures.CLASS_COLOURS[0],
        pictures.IGNORED_COLOUR,
    }
