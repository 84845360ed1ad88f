"""BRACS: whole slides of breast lesions and the lesions' outlines from QuPath (docs/datasets/bracs.md).

Slides (`BRACS_1494.svs`, under `train`, `val`, `test`) and outlines (`BRACS_1494.geojson`, exported from `.qpdata`) may
lie anywhere in the folder, paired by name; a table (`.xlsx` or `.csv`) tells the patients. Each slide is a shard. A
slide that cannot be used is a part whose tiles end in a Problem, so that the others are converted before the stage
fails.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.errors import Problem
from pipeline.base.params import Tiling
from pipeline.datasets.bracs.card import CARD
from pipeline.datasets.bracs.table import SUFFIXES as TABLES
from pipeline.datasets.bracs.table import Row, read_tables, side_of, slide_name
from pipeline.datasets.discovery import SEVERAL_FILES, Survey, bare_name, companions, look

if TYPE_CHECKING:
    from pipeline.slides.annotations import Annotations
    from pipeline.slides.slide import Slide
    from pipeline.slides.tiling import Selection
    from pipeline.tiles.store import Tile

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
EXPORT = "docs/how-to/export-from-qupath.md"


def find(folder: Path, tiling: Tiling | None = None) -> list["WholeSlide"]:
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
        parts.append(WholeSlide(title, slides, annotations, qpdata, tables, row, tiling or Tiling(), own))
    _tell(lying, parts, within)
    return parts


def _tell(lying: Survey, parts: list["WholeSlide"], within: set[Path]) -> None:
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


def _side(path: Path) -> str:
    """Part of the official split by the innermost folder that names one."""
    return next((side for part in reversed(path.parts[:-1]) if (side := side_of(part))), "")


@dataclass(frozen=True)
class WholeSlide:
    """One slide; a pipeline.datasets.Part. `count` reads the slide, and may raise a Problem."""

    name: str
    slides: list[Path] = field(repr=False)  # one, or the part is wrong
    annotations: list[Path] = field(repr=False)
    qpdata: list[Path] = field(repr=False)
    tables: list[Path] = field(repr=False)
    row: Row
    settings: Tiling
    inner: list[Path] = field(default_factory=list, repr=False)  # what a slide of several files has beside its own
    left_out: Counter[str] = field(default_factory=Counter, repr=False)  # of the annotation, once it was read

    @property
    def files(self) -> list[Path]:
        return sorted({*self.slides, *self.inner, *self.annotations, *self.tables})

    @property
    def tile_size(self) -> int:
        return self.settings.tile_size

    @cached_property
    def count(self) -> int:
        return self._selection.at_most

    @property
    def resolution(self) -> tuple[float, float]:
        """Microns per pixel and magnification of the tiles."""
        grid = self._selection.grid
        return grid.microns_per_pixel, self._slide.magnification / grid.downsample

    @cached_property
    def _slide(self) -> "Slide":
        # Not on top: check and download read this module, and need no OpenSlide.
        from pipeline.slides.slide import Slide

        for kind, paths in (("slides", self.slides), ("annotations", self.annotations)):
            if len(paths) > 1:
                raise Problem(f"{paths[0]} and {paths[1]} are both {kind} of {self.name}; move one of them away.")
        if not self.slides:
            raise Problem(
                f"{self.annotations[0]} is an annotation without a slide {self.name}.svs; add it or move it away."
            )
        if not self.annotations and self.qpdata:
            raise Problem(
                f"{self.slides[0]} has {self.qpdata[0].name} but no {self.name}.geojson; export it as {EXPORT} says."
            )
        if not self.annotations:
            raise Problem(
                f"{self.slides[0]} has no annotation {self.name}.geojson; export it from QuPath ({EXPORT}), or name the"
                " slides to use in `tiling.slides`."
            )
        if self.slides[0].suffix.lower() in SEVERAL_FILES and not self.inner:
            raise Problem(
                f"{self.slides[0]} lies without the files that hold its pixels (of a .mrxs the folder {self.name});"
                " put them beside it."
            )
        slide = Slide(self.slides[0], self.settings.slide_microns_per_pixel)
        if slide.corner != (0, 0):
            x, y = slide.corner
            print(
                f"{self.slides[0]}: outlines count from the scan's corner, at x {x}, y {y} of the glass, as in QuPath"
            )
        return slide

    @cached_property
    def _annotations(self) -> "Annotations":
        from pipeline.slides.annotations import read_annotations

        annotations = read_annotations(self.annotations[0], CODES)
        annotations.check_place(self._slide.width, self._slide.height)
        for note in annotations.notes():
            print(f"{self.annotations[0]}: {note}")
        self.left_out.update(annotations.left_out)
        return annotations

    @cached_property
    def _selection(self) -> "Selection":
        from pipeline.slides.tiling import select_tiles

        return select_tiles(self._slide, self._annotations, self.settings)

    def tiles(self) -> Iterator["Tile"]:
        """The kept tiles, those with a lesion first; once."""
        import numpy as np

        from pipeline.tiles.store import Tile

        empty = np.zeros((self.tile_size, self.tile_size), np.int32)
        patient, side = self.row.patient, self.row.side
        for number, (tile, (image, _, classes, bits, overlap)) in enumerate(self._selection.tiles()):
            x, y = self._selection.grid.corner(*tile.position)
            yield Tile(image, classes, empty, {}, number, patient, self.name, x, y, side, overlap, bits=bits)

    def write_index(self, folder: Path) -> None:
        """Write the index of all tiles, the contact sheet and what other pictures are drawn from; after `tiles`.

        They are `<name>.csv`, `<name>.jpg`, and `<name>.thumbnail.jpg` with `<name>.outlines.json`.
        """
        from pipeline.slides.contact_sheet import draw_sheet, write_thumbnail

        grid = self._selection.grid
        with (folder / f"{self.name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["slide", "x", "y", "level", "microns_per_pixel", "state", "lesion_pixels", "spread"])
            for tile in self._selection.index:
                spread = "" if tile.spread != tile.spread else f"{tile.spread:.4f}"  # NaN: not read
                place = [self.name, *grid.corner(*tile.position), grid.level, f"{grid.microns_per_pixel:.6g}"]
                writer.writerow([*place, tile.state, tile.lesion_pixels, spread])
        draw_sheet(folder / f"{self.name}.jpg", self._selection, self._annotations)
        write_thumbnail(folder, self.name, self._selection, self._annotations)

    def close(self) -> None:
        """Forget what was read; a data set may have hundreds of slides."""
        for name in ("_selection", "_annotations", "count"):
            self.__dict__.pop(name, None)
        if slide := self.__dict__.pop("_slide", None):
            slide.close()
