"""Fill a template: the filters that turn values into text live here, the sentences in the templates."""

from collections.abc import Callable
from math import isfinite, isnan
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

from pipeline.base.errors import Problem
from pipeline.base.paths import paper_folder
from pipeline.base.study import AnyStudy
from pipeline.reporting.markdown import code, fenced, literal

NO_BREAK = "\u00a0"  # a space that keeps an interval on one line of a narrow cell
TEMPLATES = Path(__file__).with_name("templates")


class Range(Protocol):
    """A median with the lowest and the highest value, such as repeats.Spread."""

    @property
    def median(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class Estimate(Protocol):
    """A number with its interval, such as scoring.Figure, which may have an `sd`, or stats.Interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def render_report(study: AnyStudy, **values: Any) -> str:
    """Fill the template of a study's paper, or, where it rebuilds none, that of its task."""
    own = paper_folder(study.study) / "report.md.j2"
    return render(own.as_posix() if own.exists() else f"{study.task}.md.j2", study=study, **values)


def render(template: str, folder: Path = Path(), **values: Any) -> str:
    """Fill a template, of the folder `templates` or another one; a value that it names and nobody gives is an error.

    Raises:
        Problem: there is no such template.
    """
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, folder]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # what comes out is Markdown: names from outside go through `literal` or `code`
    )
    environment.filters |= {
        "score": score,
        "signed": signed,
        "count": count,
        "many": many,
        "figure": figure,
        "change": change,
        "spread": spread,
        "p": p_text,
        "literal": literal,
        "code": code,
        "fenced": fenced,
    }
    try:
        found = environment.get_template(template)
    except TemplateNotFound:
        raise Problem(f"{TEMPLATES / template} is missing; give the study a paper/report.md.j2.") from None
    return found.render(**values)


def score(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None or isnan(value) else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign, or a dash where there is none."""
    return "–" if value is None or isnan(value) else f"{value:+.{digits}f}".replace("-", "−")


def count(value: int | None) -> str:
    """A whole number with thousands set apart, or a dash where there is none."""
    return "–" if value is None else f"{value:,}"


def many(value: int, things: str) -> str:
    """A number of things, whose plural ends in s: 1 patient, 2,000 patients."""
    return f"{value:,} {things.removesuffix('s') if value == 1 else things}"


def figure(value: Estimate) -> str:
    """A figure, its standard deviation over the runs where there are several, its interval: 0.538 [0.49, 0.58]."""
    text = score(value.value)
    sd = getattr(value, "sd", None)
    if sd is not None and isfinite(sd):
        text += f"{NO_BREAK}±{NO_BREAK}{sd:.3f}"
    return text + _ends(value.low, value.high, score)


def spread(value: Range, digits: int = 3) -> str:
    """A median and its range: 0.662 (0.640 to 0.671)."""
    ends = f" ({score(value.low, digits)} to {score(value.high, digits)})" if value.high > value.low else ""
    return (score(value.median, digits) + ends).replace(" ", NO_BREAK)


def change(value: Estimate) -> str:
    """A difference with its sign and interval: +0.194 [+0.15, +0.24]."""
    return signed(value.value) + _ends(value.low, value.high, signed)


def p_text(value: float) -> str:
    """A p value as it is printed: 0.014, or < 0.001."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _ends(low: float, high: float, text: Callable[[float, int], str]) -> str:
    """The ends of an interval; a third digit where two would hide how narrow it is."""
    if not isfinite(low) or low == high:
        return ""
    digits = 2 if high - low >= 0.05 else 3
    return f" [{text(low, digits)},{NO_BREAK}{text(high, digits)}]"
