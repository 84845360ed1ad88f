"""The index of a slide's tiles, `data/tiles/<dataset>/<slide>.csv`: how many were kept and left out, and by what.

`convert` writes it, a row a tile of the grid with its `state` (pipeline/slides/tiling.py), and reports read it.
"""

import csv
from collections import Counter
from pathlib import Path

WORDS = {  # of each state
    "lesion": "kept with an outline of a class but the first",
    "lesion-free": "kept without one",
    "background": "left out as glass (RGB standard deviation below tiling.background)",
    "glass": "left out as glass (RGB standard deviation below tiling.background)",
    "not annotated": "left out where nothing counts (outside of regions, or of outlines where the rest is ignored)",
    "not drawn": "without one not drawn (tiling.lesion_free, tiling.at_least)",
}


def count_states(path: Path) -> Counter[str]:
    """How many tiles of an index are in each state."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        place = next(rows).index("state")
        return Counter(row[place] for row in rows)


def account(states: Counter[str]) -> str:
    """What became of the tiles, a clause that adds up: 30 tiles on the grid = 20 kept without one + ..."""
    found: Counter[str] = Counter()
    for state, words in WORDS.items():
        found[words] += states[state]
    parts = " + ".join(f"{count:,} {words}" for words, count in found.items() if count)
    return f"{sum(states.values()):,} tiles on the grid = {parts or '0 kept'}"
