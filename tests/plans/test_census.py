"""What tiles hold is counted for every row of a plan, as annotated."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import Problem
from pipeline.plans.census import count_nuclei, has_lesion
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.tiles.test_plan import make_plan


def write_shard(folder: Path, name: str, tiles: list[Tile], bits: bool = False) -> None:
    info = ShardInfo("pannuke", ("background", "a", "b", "c"), 0.25, 40, "sample", "0" * 64, "none: drawn", "", "")
    with ShardWriter(folder / "pannuke" / f"{name}.h5", len(tiles), 4, info, bits=bits) as writer:
        for tile in tiles:
            writer.add(tile)


def tile(index: int, nuclei: dict[int, int], bits: int | None = None) -> Tile:
    blank = np.zeros((4, 4), np.uint8)
    corner = None
    if bits is not None:
        corner = blank.copy()
        corner[3, 3] = bits
    return Tile(np.zeros((4, 4, 3), np.uint8), blank, blank.astype(np.int32), nuclei, index, bits=corner)


def test_nuclei_are_counted_by_class_in_the_order_of_the_rows(tmp_path: Path) -> None:
    write_shard(tmp_path, "fold1", [tile(0, {1: 1, 2: 1, 5: 3}), tile(1, {})])
    write_shard(tmp_path, "fold2", [tile(0, {1: 2})])
    plan = make_plan(4, shard=["fold2", "fold1", "fold1", "fold1"], index=[0, 1, 0, 0], copy=[0, 0, 0, 1])
    assert count_nuclei(plan, 4, tmp_path).tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [0, 2, 0, 1], [0, 2, 0, 1]]
    turned = count_nuclei(plan.iloc[::-1], 4, tmp_path)  # whatever the index of the table
    assert turned.tolist() == count_nuclei(plan, 4, tmp_path)[::-1].tolist()


def test_one_pixel_of_a_lesion_is_enough_and_another_one_over_it_does_not_hide_it(tmp_path: Path) -> None:
    write_shard(tmp_path, "fold1", [tile(0, {}, 0b001), tile(1, {}, 0b101), tile(2, {}, 0b100), tile(3, {}, 0)], True)
    plan = make_plan(4, index=[3, 2, 1, 0])
    assert has_lesion(plan, "a", tmp_path).tolist() == [False, False, True, True]
    assert has_lesion(plan, "c", tmp_path).tolist() == [False, True, True, False]


def test_tiles_without_areas_have_no_lesions(tmp_path: Path) -> None:
    write_shard(tmp_path, "fold1", [tile(0, {})])
    with pytest.raises(Problem, match="has no areas of lesions"):
        has_lesion(make_plan(1), "a", tmp_path)
