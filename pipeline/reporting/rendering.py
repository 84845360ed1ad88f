"""Fill a template: the filters that turn values into text live here, the sentences in the templates."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, **values: Any) -> str:
    """Fill a template of the folder `templates`; a value that the template names and nobody gives is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # what comes out is Markdown
    )
    environment.filters |= {"score": score, "signed": signed, "count": count}
    return environment.get_template(template).render(**values)


def score(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign, or a dash where there is none."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "−")


def count(value: int | None) -> str:
    """A whole number with thousands set apart, or a dash where there is none."""
    return "–" if value is None else f"{value:,}"
