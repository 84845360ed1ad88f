"""Instances as COCO has them: to the pixel what pycocotools and shapely read, and each way in which files are wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco

from pipeline.base.errors import Problem
from pipeline.base.params import Coco
from pipeline.base.schema import parse
from pipeline.datasets.coco.instances import Instance, decode, mask_of, runs_of
from pipeline.datasets.coco.reader import reader
from pipeline.tiles.store import IGNORE, Tile
from tests.own import instances as drawn

BASE: dict[str, Any] = {
    "images": "images",
    "instances": "instances.json",
    "classes": {"background": "none", "tumor": "tumor", "immune": "immune cell"},
    "microns_per_pixel": 0.5,
    "tile_size": 64,
    "patient_table": "none",
    "patient_pattern": "none",
    "unpaired": "refuse",
}
MASKS = arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))


def tiles(folder: Path, **changes: Any) -> list[Tile]:
    settings = parse(Coco, BASE | changes, "params.yaml")
    return [tile for part in reader(settings).find(folder) for tile in part.tiles()]


def save(folder: Path, content: Any) -> None:
    (folder / "instances.json").write_text(json.dumps(content))


@given(MASKS)
def test_runs_are_what_pycocotools_makes_of_them(mask: Any) -> None:
    text = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(decode(text, *mask.shape), mask)
    assert runs_of(text) == drawn.runs(mask)
    assert np.array_equal(decode(drawn.runs(mask), *mask.shape), mask)


@given(st.lists(st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 40)), min_size=3, max_size=9), min_size=1,
                max_size=3))  # fmt: skip
def test_polygons_are_the_pixels_whose_centres_they_hold(rings: Any) -> None:
    instance = Instance(1, "a", [[value for corner in ring for value in corner] for ring in rings], False)
    rows, columns, inside = mask_of(instance, 32, 36, "a.json")
    found = np.zeros((32, 36), bool)
    found[rows, columns] = inside
    x, y = np.meshgrid(np.arange(36) + 0.5, np.arange(32) + 0.5)
    expected, edge = np.zeros_like(found), np.zeros_like(found)
    for ring in rings:
        line = shapely.LinearRing(ring)
        edge |= shapely.distance(shapely.points(x, y), line) < 1e-9  # whose centres are of neither side
        if shapely.is_simple(line):
            expected |= shapely.contains_xy(shapely.Polygon(ring), x, y)
        else:
            edge[:] = True
    assert np.array_equal(found[~edge], expected[~edge])


def test_maps_are_what_pycocotools_reads(tmp_path: Path) -> None:
    content = drawn.draw(tmp_path)
    found = {tile.slide: tile for tile in tiles(tmp_path)}
    for image in content["images"]:
        tile, codes, numbers = found[image["file_name"][:-4]], np.zeros((64, 64), int), np.zeros((64, 64), int)
        mine = [each for each in content["annotations"] if each["image_id"] == image["id"]]
        for number, each in enumerate(mine, start=1):
            shape = each["segmentation"]
            if isinstance(shape, list):
                left, top, _, _, right, bottom, *_ = shape[0]
                mask = np.zeros((64, 64), bool)
                mask[top:bottom, left:right] = True
            elif isinstance(shape["counts"], list):
                mask = coco.decode(coco.frPyObjects(shape, 64, 64)).astype(bool)
            else:
                mask = coco.decode(shape).astype(bool)
            codes[mask], numbers[mask] = {7: 1, 3: 2}[each["category_id"]], number
        assert np.array_equal(tile.class_map, codes) and np.array_equal(tile.instance_map, numbers)
        assert tile.nuclei == {n: codes[numbers == n].max() for n in np.unique(numbers) if n}
        assert np.array_equal(tile.image, np.asarray(Image.open(tmp_path / "images" / image["file_name"])))


def test_crowds_count_nowhere_and_the_later_instance_has_what_two_claim(tmp_path: Path) -> None:
    content = drawn.draw(tmp_path, patients=1, images=1)
    one = {"image_id": 100, "category_id": 7, "iscrowd": 0}
    square = [[0, 0, 20, 0, 20, 20, 0, 20]]
    content["annotations"] = [
        one | {"id": 1, "segmentation": square},
        one
        | {"id": 2, "category_id": 3, "segmentation": [[10, 0, 30, 0, 30, 20, 10, 20], [40, 0, 44, 0, 44, 4, 40, 4]]},
        one | {"id": 3, "iscrowd": 1, "segmentation": [[0, 0, 64, 0, 64, 30, 0, 30]]},
        one | {"id": 4, "segmentation": square},
        one | {"id": 5, "segmentation": square},
    ]
    save(tmp_path, content)
    (tile,) = tiles(tmp_path)
    assert (tile.class_map[:20, :20] == 1).all() and (tile.class_map[:20, 20:30] == 2).all()
    assert (tile.class_map[20:30] == IGNORE).all() and (tile.class_map[30:] == 0).all()
    assert len(tile.nuclei) == 2 and tile.overlap == 400 and len(np.unique(tile.instance_map[:4, 40:44])) == 1


def test_files_are_used_or_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = drawn.draw(tmp_path)
    Image.new("RGB", (9, 9)).save(tmp_path / "images/other.png")
    (tmp_path / "images/notes.txt").touch()
    tiles(tmp_path)
    said = capsys.readouterr().out
    assert (
        "found 10 files = used 8 + left out 2 (images that the file does not list: 1, other.png; of no use here: 1"
        in said
    )
    (tmp_path / "images/p1_0.png").unlink()
    with pytest.raises(Problem, match=r"instances.json lists p1_0.png, which is not in .*; add it, or .*skip-unpaired"):
        tiles(tmp_path)
    assert len(tiles(tmp_path, unpaired="skip")) == 7
    assert "1 images that it lists are not there, such as p1_0.png" in capsys.readouterr().out
    content["images"][1]["width"] = 65
    save(tmp_path, content)
    with pytest.raises(Problem, match=r"p1_1.png has 64 x 64 px, and .*instances.json says 65 x 64; give the image"):
        tiles(tmp_path, unpaired="skip")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: [], "is no file of COCO's instances, which has images, annotations, categories"),
        (lambda content: content | {"images": [{}]}, "lacks something of COCO's instances"),
        (lambda content: content | {"categories": [{"id": 7, "name": "a"}]}, "is of the category 3, which the file"),
        (lambda content: content | {"images": content["images"][:1] * 2}, "one id, 100"),
        (lambda content: segmented(content, None), "segmentation of annotation 0 cannot be read"),
        (lambda content: segmented(content, [[1, 2]]), "it has no polygon of three corners or more"),
        (lambda content: segmented(content, {"size": [64, 64], "counts": [5, 6]}), "its runs have 11 px, the image"),
        (lambda content: segmented(content, {"size": [64, 60], "counts": [5]}), r"its size is \[64, 60\], the image's"),
        (lambda content: segmented(content, {"size": [64, 64], "counts": "P"}), "its runs end in the middle"),
        (lambda content: segmented(content, {"size": [64, 64], "counts": " "}), "' ' stands in its runs"),
    ],
)  # fmt: skip
def test_files_that_are_wrong(tmp_path: Path, change: Any, words: str) -> None:
    save(tmp_path, change(drawn.draw(tmp_path)))
    with pytest.raises(Problem, match=rf"instances.json.*{words}.*; export it again, or correct it\."):
        tiles(tmp_path)


def segmented(content: Any, segmentation: Any) -> Any:
    """The content with another segmentation of the first annotation."""
    first, *rest = content["annotations"]
    return content | {"annotations": [first | {"segmentation": segmentation}, *rest]}


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    drawn.draw(tmp_path)
    path = tmp_path / "instances.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Problem, match=r"instances.json is no whole JSON .*; export it again, or correct it\."):
        tiles(tmp_path)
