"""What a slide's tags tell is believed where it can be, and an explicit resolution always goes before it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.slides.resolution import COARSEST, FINEST, find_resolution

SLIDE = Path("a.svs")


def tags(x: object = None, y: object = None, power: object = None) -> dict[str, str]:
    found = {"openslide.mpp-x": x, "openslide.mpp-y": y, "openslide.objective-power": power}
    return {name: str(value) for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (tags(0.25, 0.25, 40), (0.25, 40)),
        (tags(0.2528, 0.2498), (0.2513, 39.79)),
        (tags(0.2325, 0.2325, 20), (0.2325, 20)),  # an adapter between objective and camera
        (tags(None, 0.5), (0.5, 20)),
        (tags(power=20), (0.5, 20)),
        (tags(353, 353, 40), (0.25, 40)),  # a printer's
        (tags(0.25, 0.25, 0), (0.25, 40)),
        (tags(0.25, 0.25, "forty"), (0.25, 40)),
    ],
)
def test_what_can_be_is_believed(told: dict[str, str], wanted: tuple[float, float]) -> None:
    assert find_resolution(SLIDE, told, None) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (tags(), "does not tell its resolution"),
        (tags(353, 353), "does not tell its resolution"),
        (tags(0.0274, 0.0274), "tells 0.0274 µm/px, where slides have 0.1 to 2"),
        (tags(2.74, 2.74), "tells 2.74 µm/px"),
        (tags(0, 0), "tells 0 µm/px"),
        (tags(-0.25, -0.25), "tells -0.25 µm/px"),
        (tags("nan", "nan"), "tells nan"),
        (tags("inf", 0.25), "tells inf x 0.25 µm/px"),
        (tags(0.25, 0.5), "tells pixels of 0.25 x 0.5 µm, which are no squares"),
        (tags(0.25, 353), "tells 0.25 x 353 µm/px"),
        (tags(0.25, 0.25, 4), "tells 0.25 µm/px and a magnification of 4, which contradict each other"),
        (tags(0.25, 0.25, 400), "magnification of 400"),
        (tags(power=400), "tells a magnification of 400, at which no slide is scanned"),
        (tags(power=1), "tells a magnification of 1,"),
    ],
)
def test_what_cannot_be_is_refused_and_then_the_parameter_wins(
    told: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Problem) as problem:
        find_resolution(SLIDE, told, None)
    text = str(problem.value)
    assert text.startswith("a.svs ") and said in text and "tiling.slide_microns_per_pixel" in text and text[-1] == "."
    assert find_resolution(SLIDE, told, 0.3) == pytest.approx((0.3, 33.33), rel=1e-3)
    printed = capsys.readouterr().out
    if "does not tell" in said:
        assert printed == ""
    else:
        assert said in printed and "tiling.slide_microns_per_pixel goes before it: 0.3 µm/px" in printed


def test_a_parameter_that_disagrees_wins_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert find_resolution(SLIDE, tags(0.25, 0.25, 40), 0.26) == (0.26, 40)
    assert capsys.readouterr().out == ""
    assert find_resolution(SLIDE, tags(0.25, 0.25, 40), 0.5) == (0.5, 40)
    assert (
        capsys.readouterr().out == "a.svs tells 0.25 µm/px; tiling.slide_microns_per_pixel goes before it: 0.5 µm/px\n"
    )


numbers = st.none() | st.floats() | st.sampled_from(["", "x", "0,25", "1e400"])


@given(numbers, numbers, numbers, st.none() | st.floats(0.01, 100))
def test_any_tags_give_a_resolution_that_can_be_or_a_sentence(
    x: object, y: object, power: object, wanted: float | None
) -> None:
    try:
        pixel, magnification = find_resolution(SLIDE, tags(x, y, power), wanted)
    except Problem as problem:
        assert wanted is None and str(problem).endswith(".")
        return
    assert pixel == wanted or (wanted is None and FINEST <= pixel <= COARSEST)
    assert 2 <= pixel * magnification <= 50
