"""Light passes the dyes as physics has it."""

import numpy as np
import pytest

from pipeline.drawing.canvas import Canvas
from pipeline.drawing.stain import Stain, photograph


def test_light_follows_beer_and_lambert() -> None:
    stain = Stain(haematoxylin=(1.0, 0.5, 0.0), eosin=(0.0, 0.0, 0.0))
    canvas = Canvas.blank(40, 40, 0.25)
    canvas.haematoxylin[:] = 1.0
    red, green, blue = photograph(canvas, np.random.default_rng(1), stain, 0).mean(axis=(0, 1))
    assert red / blue == pytest.approx(np.exp(-1.0), abs=0.01)
    assert green / blue == pytest.approx(np.exp(-0.5), abs=0.01)
