"""The drawn BCSS and BACH have the layouts and variety of the real ones, and the same bytes again."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import bach, bcss
from pipeline.datasets.sample_regions import REGIONS, draw_bach, draw_bcss

HEIGHT, COUNT, WIDTH, IMAGES = 256, 9, 160, 3


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_bcss(folder / "bcss", 7, HEIGHT, COUNT)
    draw_bach(folder / "bach", 7, WIDTH, IMAGES)
    return folder


def files(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def tiles(module: Any, folder: Path) -> list[Any]:
    return [tile for source in module.find(folder) for tile in source.tiles()]


def test_bcss_has_many_tissues_on_each_side_and_something_outside(drawn: Path) -> None:
    found = tiles(bcss, drawn / "bcss")
    pixels: Counter[tuple[str, str]] = Counter()
    for tile in found:
        codes, counts = np.unique(tile.class_map, return_counts=True)
        side = bcss.OFFICIAL_SPLITS[1][tile.group]
        pixels.update({(side, bcss.CLASSES[c]): n for c, n in zip(codes, counts, strict=True) if c != 255})
    for side in ("train", "validation", "test"):
        assert len([name for s, name in pixels if s == side]) >= 8
    assert {"tumor", "stroma", "exclude", "undetermined", "dcis", "fat"} <= {name for _, name in pixels}
    assert len({tile.patient for tile in found}) == COUNT and len({tile.group for tile in found}) >= 6
    for path in sorted((drawn / "bcss" / "masks").glob("*.png")):
        with Image.open(path) as mask:
            assert (mask.mode, mask.size) == ("L", (int(1.25 * HEIGHT), HEIGHT))
            assert 0.01 < (np.asarray(mask) == bcss.OUTSIDE).mean() < 0.3


def test_regions_are_of_patients_of_their_own() -> None:
    assert len({name[:12] for name in REGIONS}) == len(REGIONS)


@pytest.mark.real
def test_regions_have_names_of_real_ones(real_data: Path) -> None:
    rows = [line.split(",") for line in (real_data / "bcss" / "roiBounds.csv").read_text().splitlines()[1:]]
    assert set(REGIONS) <= {f"{row[0]}_xmin{row[1]}_ymin{row[2]}" for row in rows}


def test_tissues_look_unlike_each_other(drawn: Path) -> None:
    colours: dict[int, list[Any]] = {}
    for tile in tiles(bcss, drawn / "bcss"):
        for code in np.unique(tile.class_map):
            if (tile.class_map == code).sum() > 500:
                colours.setdefault(int(code), []).append(tile.image[tile.class_map == code].mean(axis=0))
    mean = {bcss.CLASSES[code]: np.mean(found, axis=0) for code, found in colours.items() if code != 255}
    assert mean["fat"].mean() > mean["stroma"].mean() + 20 > mean["tumor"].mean() + 40 > mean["exclude"].mean()


def test_bach_has_the_layout_of_the_challenge(drawn: Path) -> None:
    parts = bach.find(drawn / "bach")
    assert [(part.count, part.tile_size) for part in parts] == [(IMAGES, (WIDTH * 3 // 4, WIDTH))] * 4
    photos = drawn / "bach" / "ICIAR2018_BACH_Challenge" / "Photos"
    assert (photos / bach.TRUTH).read_text().startswith("n001.tif,Normal\nn002.tif,Normal\n")
    with Image.open(photos / "InSitu" / "is003.tif") as picture:
        assert picture.mode == "RGB"
    patients = [tile.patient for tile in parts[0].tiles()]
    assert patients[0] == patients[1] != "" and patients[-1] == ""


def test_the_four_patterns_differ(drawn: Path) -> None:
    counts, glass, middle = {}, {}, {}
    for part in bach.find(drawn / "bach"):
        found = list(part.tiles())
        counts[part.name] = np.mean([len(tile.nuclei) for tile in found])
        glass[part.name] = np.mean([(tile.image.min(axis=-1) > 225).mean() for tile in found])
        nucleus = np.mean([tile.class_map > 0 for tile in found], axis=0)
        middle[part.name] = nucleus[30:-30, 40:-40].mean() / nucleus.mean()
    assert counts["invasive"] > 2 * counts["normal"] and counts["benign"] > counts["normal"]
    assert glass["normal"] > 2 * max(glass["benign"], glass["insitu"], glass["invasive"])
    assert middle["insitu"] > 1.3 * middle["invasive"]  # its cells lie in a round duct


def test_the_same_seed_draws_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    draw_bcss(tmp_path / "bcss", 7, HEIGHT, COUNT)
    draw_bach(tmp_path / "bach", 7, WIDTH, IMAGES)
    assert files(tmp_path) == files(drawn)
    draw_bcss(tmp_path / "other", 8, HEIGHT, 2)
    assert not set(files(tmp_path / "other").values()) & set(files(drawn / "bcss").values())


def test_more_regions_leave_the_first_ones_as_they_are(drawn: Path, tmp_path: Path) -> None:
    draw_bcss(tmp_path, 7, HEIGHT, 2)
    assert files(tmp_path).items() <= files(drawn / "bcss").items()
