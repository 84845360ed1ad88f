"""The account of a slide's tiles: every tile of the grid once, with what left it out."""

from collections import Counter
from pathlib import Path

from pipeline.base.slide_index import WORDS, account, count_states
from pipeline.slides import tiling


def test_every_state_of_a_tile_has_words() -> None:
    states = (tiling.LESION, tiling.FREE, tiling.BACKGROUND, tiling.GLASSY, tiling.UNDRAWN, tiling.UNKNOWN)
    assert set(WORDS) == set(states)


def test_states_are_counted_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('slide,x,state,spread\n"a, b",0,glass,\n"a, b",9,glass,\n"a, b",18,lesion,3.1\n')
    assert count_states(tmp_path / "a.csv") == {"glass": 2, "lesion": 1}


def test_glass_is_told_whether_it_was_read_or_not_and_what_is_not_there_is_not() -> None:
    assert account(Counter({"lesion": 1200, "lesion-free": 5, "glass": 10, "background": 20})) == (
        "1,235 tiles on the grid = 1,200 kept with an outline of a class but the first + 5 kept without one"
        " + 30 left out as glass (RGB standard deviation below tiling.background)"
    )
    assert "glass" not in account(Counter({"lesion": 2, "not annotated": 3, "not drawn": 4}))
    assert account(Counter()) == "0 tiles on the grid = 0 kept"
