"""Windows of a slide are its pixels, and beyond its border their mirror image."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.applying import reading
from pipeline.applying.reading import Pixels
from pipeline.applying.windows import Window
from pipeline.slides.slide import Slide

SIDE = 16  # px of a square


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    size=st.integers(1, 48),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_window_over_the_border_is_mirrored(
    height: int,
    width: int,
    size: int,
    place: tuple[float, float],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "SIDE", SIDE)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("slide") / "flat.png"
    Image.fromarray(pixels).save(path)
    top, left = int(place[0] * (height - 1)), int(place[1] * (width - 1))
    expected = np.pad(pixels, ((0, 100), (0, 100), (0, 0)), mode="symmetric")[top : top + size, left : left + size]
    with Slide(path, 0.5, "--microns-per-pixel", flat=True) as slide, ThreadPoolExecutor(1) as pool:
        window = Window(top, left, size, size)
        found = Pixels(slide, 0.5, False, pool, 100)
        found.prepare([window])
        assert np.array_equal(found.read(window), expected)
