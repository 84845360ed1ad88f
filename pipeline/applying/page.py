"""index.html over the results of one call: every slide with its picture, figures and files."""

import csv
from html import escape
from pathlib import Path
from urllib.parse import quote

from pipeline.base.files import write_text
from pipeline.base.records import Applied, AppliedSlide

SAMPLE = "It was trained on drawn tiles alone: what it finds on a real slide means nothing."
STYLE = (
    "body{font-family:sans-serif;margin:2em}img{max-width:24em}td,th{padding:.5em;text-align:left;vertical-align:top}"
)


def write_page(path: Path, record: Applied, kinds: tuple[str, ...], truth: str | None = None) -> None:
    """A page that needs nothing but the files beside it.

    Args:
        kinds: what the names of a slide's files end in.
        truth: where the comparison with annotations lies, from the page; None where none was asked for.
    """
    model = record.model
    told = f"{model.study}, {model.variant}: {model.task} at {model.microns_per_pixel:g} µm/px"
    rows = []
    for slide in record.slides:
        files = " ".join(f'<a href="{quote(f"{slide.name}.{kind}")}">{kind}</a>' for kind in kinds)
        found = escape("; ".join(_counts(slide) if slide.nuclei else _shares(path.parent / f"{slide.name}.csv")))
        notes = "".join(f"<br>{escape(note)}" for note in slide.notes)
        picture = f'<img src="{quote(f"{slide.name}.png")}" alt="{escape(slide.name)}">'
        figures = f"<td>{slide.square_millimetres:.4g}</td><td>{found}</td><td>{files}</td>"
        rows.append(f"<tr><td>{picture}</td><td>{escape(slide.name)}{notes}</td>{figures}</tr>")
    for name, why in record.failed.items():
        rows.append(f"<tr><td></td><td>{escape(name)}</td><td colspan=3>{escape(why)}</td></tr>")
    head = "<tr><th></th><th>slide</th><th>mm²</th><th>found</th><th>files</th></tr>"
    sample = f"<p>{SAMPLE}</p>" if model.sample else ""
    licence = f"<p>Licence: {escape(record.licence)}</p>"
    body = f"<h1>{escape(told)}</h1>{sample}{licence}<table>{head}{''.join(rows)}</table>"
    links = '<p><a href="summary.csv">summary.csv</a> <a href="run.json">run.json</a>'
    links += "</p>" if truth is None else f' <a href="{quote(truth)}">truth.md</a></p>'
    start = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(told)}</title><style>{STYLE}</style>'
    write_text(path, f"{start}{body}{links}</html>\n")


def _counts(slide: AppliedSlide) -> list[str]:
    """How many nuclei of each class."""
    return [f"{name} {count:,}" for name, count in (slide.nuclei or {}).items() if count]


def _shares(table: Path) -> list[str]:
    """The share of each class of what was looked at."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = [(row["class"], float(row["share"])) for row in csv.DictReader(file)]
    return [f"{name} {share:.1%}" for name, share in rows if share]
