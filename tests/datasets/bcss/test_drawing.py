"""The drawn BCSS has the layout and variety of the real one, and the same bytes again."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.bcss.card import CARD, Sample
from pipeline.datasets.bcss.drawing import REGIONS, draw
from pipeline.datasets.bcss.reader import OUTSIDE
from tests.datasets.drawn import checksums, tiles

HEIGHT, COUNT = 256, 9
SETTINGS = Sample(height=HEIGHT, regions=COUNT)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bcss")
    draw(folder, 7, SETTINGS)
    return folder


def test_bcss_has_many_tissues_on_each_side_and_something_outside(drawn: Path) -> None:
    found = tiles("bcss", drawn)
    pixels: Counter[tuple[str, str]] = Counter()
    for tile in found:
        codes, counts = np.unique(tile.class_map, return_counts=True)
        side = CARD.official_splits[1][tile.group]
        pixels.update({(side, CARD.classes[c]): n for c, n in zip(codes, counts, strict=True) if c != 255})
    for side in ("train", "validation", "test"):
        assert len([name for s, name in pixels if s == side]) >= 8
    assert {"tumor", "stroma", "exclude", "undetermined", "dcis", "fat"} <= {name for _, name in pixels}
    assert len({tile.patient for tile in found}) == COUNT and len({tile.group for tile in found}) >= 6
    for path in sorted((drawn / "masks").glob("*.png")):
        with Image.open(path) as mask:
            assert (mask.mode, mask.size) == ("L", (int(1.25 * HEIGHT), HEIGHT))
            assert 0.01 < (np.asarray(mask) == OUTSIDE).mean() < 0.3


def test_regions_are_of_patients_of_their_own() -> None:
    assert len({name[:12] for name in REGIONS}) == len(REGIONS)


@pytest.mark.real
def test_regions_have_names_of_real_ones(real_data: Path) -> None:
    rows = [line.split(",") for line in (real_data / "bcss" / "roiBounds.csv").read_text().splitlines()[1:]]
    assert set(REGIONS) <= {f"{row[0]}_xmin{row[1]}_ymin{row[2]}" for row in rows}


def test_tissues_look_unlike_each_other(drawn: Path) -> None:
    colours: dict[int, list[Any]] = {}
    for tile in tiles("bcss", drawn):
        for code in np.unique(tile.class_map):
            if (tile.class_map == code).sum() > 500:
                colours.setdefault(int(code), []).append(tile.image[tile.class_map == code].mean(axis=0))
    mean = {CARD.classes[code]: np.mean(found, axis=0) for code, found in colours.items() if code != 255}
    assert mean["fat"].mean() > mean["stroma"].mean() + 20 > mean["tumor"].mean() + 40 > mean["exclude"].mean()


def test_more_regions_leave_the_first_ones_as_they_are(drawn: Path, tmp_path: Path) -> None:
    draw(tmp_path, 7, Sample(height=HEIGHT, regions=3))
    assert checksums(tmp_path).items() <= checksums(drawn).items()
