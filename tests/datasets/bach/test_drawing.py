"""The drawn BACH has the layout and variety of the real one, and the same bytes again."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.bach.card import Sample
from pipeline.datasets.bach.drawing import draw
from pipeline.datasets.bach.reader import TRUTH, find

WIDTH, IMAGES = 160, 3
SETTINGS = Sample(width=WIDTH, images=IMAGES)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bach")
    draw(folder, 7, SETTINGS)
    return folder


def test_bach_has_the_layout_of_the_challenge(drawn: Path) -> None:
    parts = find(drawn)
    assert [(part.count, part.tile_size) for part in parts] == [(IMAGES, (WIDTH * 3 // 4, WIDTH))] * 4
    photos = drawn / "ICIAR2018_BACH_Challenge" / "Photos"
    assert (photos / TRUTH).read_text().startswith("n001.tif,Normal\nn002.tif,Normal\n")
    with Image.open(photos / "InSitu" / "is003.tif") as picture:
        assert picture.mode == "RGB"
    patients = [tile.patient for tile in parts[0].tiles()]
    assert patients[0] == patients[1] != "" and patients[-1] == ""


def test_the_four_patterns_differ(drawn: Path) -> None:
    counts, glass, middle = {}, {}, {}
    for part in find(drawn):
        found = list(part.tiles())
        counts[part.name] = np.mean([len(tile.nuclei) for tile in found])
        glass[part.name] = np.mean([(tile.image.min(axis=-1) > 225).mean() for tile in found])
        nucleus = np.mean([tile.class_map > 0 for tile in found], axis=0)
        middle[part.name] = nucleus[30:-30, 40:-40].mean() / nucleus.mean()
    assert counts["invasive"] > 2 * counts["normal"] and counts["benign"] > counts["normal"]
    assert glass["normal"] > 2 * max(glass["benign"], glass["insitu"], glass["invasive"])
    assert middle["insitu"] > 1.3 * middle["invasive"]  # its cells lie in a round duct
