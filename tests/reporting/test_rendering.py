"""How values become text."""

import pytest
from jinja2 import UndefinedError

from pipeline.metrics.stats import Interval
from pipeline.reporting import rendering
from pipeline.reporting.repeats import Spread
from pipeline.reporting.scoring import Figure


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (rendering.score(0.48249), "0.482"),
        (rendering.score(None), "–"),
        (rendering.score(0.0, 2), "0.00"),
        (rendering.signed(0.0126), "+0.013"),
        (rendering.signed(-0.5, 1), "−0.5"),
        (rendering.signed(None), "–"),
        (rendering.count(7053), "7,053"),
        (rendering.count(None), "–"),
        (rendering.many(1, "test tiles"), "1 test tile"),
        (rendering.many(2000, "patients"), "2,000 patients"),
        (rendering.many(0, "patients"), "0 patients"),
        (rendering.score(float("nan")), "–"),
        (rendering.figure(Interval(0.5376, 0.4891, 0.5813, 48)), "0.538 [0.49,_0.58]"),
        (rendering.figure(Interval(0.8909, 0.8661, 0.9132, 48)), "0.891 [0.866,_0.913]"),
        (rendering.figure(Figure(0.4821, 0.47, 0.49, 0.01)), "0.482_±_0.010 [0.470,_0.490]"),
        (rendering.figure(Interval(0.5, float("nan"), float("nan"), 1)), "0.500"),
        (rendering.change(Interval(-0.1939, -0.2412, 0.0011, 48)), "−0.194 [−0.24,_+0.00]"),
        (rendering.spread(Spread(0.662, 0.64, 0.671)), "0.662_(0.640_to_0.671)"),
        (rendering.spread(Spread(0.662, 0.662, 0.662), 2), "0.66"),
        (rendering.p_text(0.0142), "0.014"),
        (rendering.p_text(0.00014), "< 0.001"),
    ],
)
def test_figures_as_text(found: str, text: str) -> None:
    assert found == text.replace("_", rendering.NO_BREAK)


def test_a_value_that_nobody_gives_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        rendering.render("summary.md.j2", rows=[])
