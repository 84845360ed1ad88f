"""A whole slide with its annotation as a part of a data set, whichever data set of slides it is of."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.errors import Problem
from pipeline.base.params import Tiling
from pipeline.datasets.discovery import SEVERAL_FILES

if TYPE_CHECKING:
    from pipeline.slides.annotations import Annotations
    from pipeline.slides.slide import Slide
    from pipeline.slides.tiling import Selection
    from pipeline.tiles.store import Tile

EXPORT = "docs/how-to/export-from-qupath.md"


@dataclass(frozen=True)
class WholeSlide:
    """One slide; a pipeline.datasets.SlidePart. `count` reads the slide, and may raise a Problem."""

    name: str
    slides: list[Path] = field(repr=False)  # one, or the part is wrong
    annotations: list[Path] = field(repr=False)  # likewise
    read: Callable[[Path], "Annotations"] = field(repr=False)
    settings: Tiling
    patient: str = ""
    group: str = ""
    tables: list[Path] = field(default_factory=list, repr=False)
    inner: list[Path] = field(default_factory=list, repr=False)  # what a slide of several files has beside its own
    qpdata: list[Path] = field(default_factory=list, repr=False)  # of QuPath, from which an annotation is exported
    leave_out: str = "name the slides to use in `tiling.slides`"  # what to do where there is no annotation
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
        return self.open()

    def open(self) -> "Slide":
        """The slide, opened anew.

        Raises:
            Problem: it or its annotation is missing or there twice, or it cannot be opened.
        """
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
                f"{self.slides[0]} has no annotation {self.name}.geojson; export it from QuPath ({EXPORT}), or"
                f" {self.leave_out}."
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

    def outlines(self, slide: "Slide") -> "Annotations":
        """The annotation, read anew and compared with the slide; what of it is not used is printed.

        Raises:
            Problem: it cannot be read, or was drawn on another slide.
        """
        annotations = self.read(self.annotations[0])
        annotations.check_place(slide.width, slide.height)
        for note in annotations.notes():
            print(f"{self.annotations[0]}: {note}")
        return annotations

    @cached_property
    def _annotations(self) -> "Annotations":
        annotations = self.outlines(self._slide)
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
        for number, (tile, (image, _, classes, bits, overlap)) in enumerate(self._selection.tiles()):
            x, y = self._selection.grid.corner(*tile.position)
            place = (number, self.patient, self.name, x, y, self.group)
            kept = bits if bits.dtype == np.uint8 else None
            yield Tile(image, classes, empty, {}, *place, overlap, bits=kept)

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
