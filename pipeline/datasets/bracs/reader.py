"""BRACS: whole slides of breast lesions and the lesions' outlines from QuPath (docs/datasets/bracs.md).

Slides (`BRACS_1494.svs`, under `train`, `val`, `test`) and outlines (`BRACS_1494.geojson`, exported from `.qpdata`) may
lie anywhere in the folder, paired by name; a table (`.xlsx` or `.csv`) tells the patients. Each slide is a shard. A
slide that cannot be used is a part whose tiles end in a Problem, so that the others are converted before the stage
fails.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.errors import Problem
from pipeline.base.params import Tiling
from pipeline.datasets.bracs.card import CARD
from pipeline.datasets.bracs.table import SUFFIXES as TABLES
from pipeline.datasets.bracs.table import Row, read_tables, side_of, slide_name
from pipeline.datasets.discovery import Survey, bare_name, companions, look
from pipeline.datasets.whole_slide import WholeSlide

if TYPE_CHECKING:
    from pipeline.slides.annotations import Annotations

ALIASES = {  # other names that a class has in QuPath, in lower case
    "N": ("normal", "normal tissue"),
    "PB": ("pathological benign", "benign"),
    "UDH": ("usual ductal hyperplasia",),
    "FEA": ("flat epithelial atypia",),
    "ADH": ("atypical ductal hyperplasia",),
    "DCIS": ("ductal carcinoma in situ", "in situ carcinoma"),
    "IC": ("invasive carcinoma", "invasive"),
}
CODES = {
    name: code
    for code, title in enumerate(CARD.classes)
    if code
    for name in (title.lower(), f"type_{title.lower()}", *ALIASES[title])
}
ANNOTATIONS = {".geojson", ".json"}
READ = CARD.slides | ANNOTATIONS


def find(folder: Path, tiling: Tiling | None = None) -> list[WholeSlide]:
    """The slides in `folder`, by name, and annotations without a slide; `tiling` says how slides are cut.

    Raises:
        Problem: there is no slide, or none of a name that `tiling.slides` asks for, or the table is wrong.
    """
    lying = look(folder)
    inner = companions(lying.files)
    within = {path for paths in inner.values() for path in paths}
    found: dict[str, dict[str, list[Path]]] = {"slide": {}, "annotation": {}, "qpdata": {}}
    tables = []
    for file in (file for file in lying.files if file.path not in within):
        suffix = file.name.suffix.lower()
        kind = "slide" if suffix in CARD.slides else "annotation" if suffix in ANNOTATIONS else suffix.lstrip(".")
        if kind in found:
            found[kind].setdefault(slide_name(file.name.name), []).append(file.path)
        elif suffix in TABLES:
            tables.append(file.path)
    if not found["slide"]:
        lying.tell([])
        raise Problem(f"{folder} holds no slide of BRACS such as BRACS_1494.svs; give the folder in which they lie.")
    wanted = {slide_name(name) for name in tiling.names} if tiling else set()
    if missing := sorted(wanted - found["slide"].keys()):
        raise Problem(f"{folder} holds no slide {missing[0]}; correct `tiling.slides` in params.yaml or add the slide.")
    names = wanted or found["slide"].keys() | found["annotation"].keys()
    rows = read_tables(tables, names & found["slide"].keys())
    parts = []
    for name in sorted(names):
        slides, annotations, qpdata = (found[kind].get(name, []) for kind in ("slide", "annotation", "qpdata"))
        path, row = (slides or annotations)[0], rows.get(name, Row())
        if not row.side:
            row = replace(row, side=_side(path.relative_to(folder)))
        own = [path for slide in slides for path in inner.get(slide, [])]
        title = bare_name(path.name)
        of = (row.patient, row.side)
        cut = tiling or Tiling()
        parts.append(WholeSlide(title, slides, annotations, read_lesions, cut, *of, tables, own, qpdata))
    _tell(lying, parts, within)
    return parts


def _tell(lying: Survey, parts: list[WholeSlide], within: set[Path]) -> None:
    """Print which files are used; `within` are those that slides have beside their own."""
    used = {path for part in parts for path in part.files}
    of_slides = [file for file in lying.files if file.name.suffix.lower() in READ or file.path in within]
    lying.tell(
        [file for file in lying.files if file.path in used],
        {
            "QuPath's own data, of which the export is read": [
                file for file in lying.files if file.name.suffix.lower() == ".qpdata"
            ],
            "of slides that `tiling.slides` does not name": of_slides,
        },
    )


def read_lesions(path: Path) -> "Annotations":
    """The outlines of lesions; a Problem where there are none to be read."""
    from pipeline.slides.annotations import read_annotations

    return read_annotations(path, CODES)


def _side(path: Path) -> str:
    """Part of the official split by the innermost folder that names one."""
    return next((side for part in reversed(path.parts[:-1]) if (side := side_of(part))), "")
