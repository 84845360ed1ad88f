"""How every figure looks: one set of colours, sizes and file settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # before pyplot: no window, on any machine
from matplotlib import pyplot as plt

# Okabe and Ito's blue, vermilion and bluish green, told apart with any colour vision.
COLOURS = {"plain": "#0072B2", "augmented": "#D55E00", "balanced": "#009E73"}
NEUTRAL = "#777777"
SETTINGS = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.dpi": 110,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same letters
    "font.size": 10,
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
}


@contextmanager
def figure(path: Path, rows: int = 1, columns: int = 1, **options: Any) -> Iterator[tuple[Any, Any]]:
    """Give a figure and its 2-D array of axes; save it as PNG, without date or software in it, and close it."""
    with plt.rc_context(SETTINGS):
        drawing, axes = plt.subplots(rows, columns, squeeze=False, layout="constrained", **options)
        try:
            yield drawing, axes
            path.parent.mkdir(parents=True, exist_ok=True)
            drawing.savefig(path, metadata={"Software": None}, pil_kwargs={"optimize": True})
        finally:
            plt.close(drawing)
