"""How values become text."""

import pytest
from jinja2 import UndefinedError

from pipeline.reporting import rendering


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
    ],
)
def test_figures_as_text(found: str, text: str) -> None:
    assert found == text


def test_a_value_that_nobody_gives_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        rendering.render("summary.md.j2", rows=[])
