"""Tiles that are or look the same are found, whatever they are called and in whatever order they stand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.plans import leaks
from pipeline.tiles.store import ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.plans.test_likeness import textured
from tests.tiles.test_plan import make_plan
from tests.tiny_study import make_tiny_study

SIDES = ("train", "validation", "test")
SIZE = 32
INFO = ShardInfo("pannuke", ("background", "nucleus"), 0.25, 40, "sample", "0" * 64, "none: drawn tiles", "", "")


def store(images: list[np.ndarray]) -> None:
    blank = np.zeros((SIZE, SIZE), np.uint8)
    with ShardWriter(Path("data/tiles/pannuke/fold1.h5"), len(images), SIZE, INFO) as writer:
        for index, image in enumerate(images):
            writer.add(Tile(image, blank, blank.astype(np.int32), {}, index))


def test_tiles_of_two_sides_with_the_same_pixels_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_study(tmp_path, tiles=4)
    monkeypatch.chdir(tmp_path)
    plan = make_plan(6, index=[0, 1, 2, 3, 0, 2])  # two train, two validate, two test
    found = leaks.compare_pixels(plan)
    assert [{side: tile.index for side, tile in pair.items()} for pair in found.same] == [
        {"train": 0, "test": 0},
        {"validation": 2, "test": 2},
    ]
    assert [group.distance for group in found.near[:2]] == [0, 0] and found.groups == 2
    assert found.near[0].nearest == found.same[0] and found.near[0].tiles == {"train": 1, "test": 1}
    assert leaks.tile_name(found.same[1]["test"]) == "tile 2 of pannuke fold1"
    assert leaks.compare_pixels(plan.assign(split="train")) == leaks.Likeness([], [], 0, 0)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pictures=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(SIDES)), min_size=2, max_size=20),
    blanks=st.lists(st.tuples(st.sampled_from([0, 243, 255]), st.sampled_from(SIDES)), max_size=6),
    random=st.randoms(),
)
def test_a_planted_copy_is_always_found_and_a_blank_tile_never_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pictures: list[tuple[int, str]],
    blanks: list[tuple[int, str]],
    random: object,
) -> None:
    monkeypatch.chdir(tmp_path)
    store(
        [textured(SIZE, seed) for seed, _ in pictures]
        + [np.full((SIZE, SIZE, 3), grey, np.uint8) for grey, _ in blanks]
    )
    sides = [side for _, side in [*pictures, *blanks]]
    plan = make_plan(len(sides), split=sides)
    found = leaks.compare_pixels(plan)
    on_two = {seed for seed, side in pictures if any(seed == other and side != its for other, its in pictures)}
    assert {pictures[tile.index][0] for pair in found.same for tile in pair.values()} == on_two
    assert len(found.same) == len(on_two) and found.textureless == len(blanks)
    for pair in found.same:
        one, other = pair.items()
        assert one[0] != other[0] and sides[one[1].index] == one[0] and sides[other[1].index] == other[0]
    assert all(tile.index < len(pictures) for group in found.near for tile in group.nearest.values())
    order = list(range(len(plan)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert leaks.compare_pixels(plan.iloc[order]) == found


def test_the_list_is_bounded_and_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(leaks, "LISTED", 3)
    store([textured(SIZE, number % 8) for number in range(16)])
    found = leaks.compare_pixels(make_plan(16, split=["train"] * 8 + ["test"] * 8))
    assert len(found.near) == 3 and found.groups == 8
    many = [textured(SIZE, 1)] * 30
    store(many)
    (group,) = leaks.compare_pixels(make_plan(30)).near
    assert group.tiles == dict.fromkeys(SIDES, 10)
