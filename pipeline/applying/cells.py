"""From the maps of a slide to its objects, in cells of one fixed size, so that no parameter moves an outline.

A cell is looked at with a margin around it that is wider than a nucleus, and keeps the nuclei whose first pixel, row
after row, lies in it: each is written once, and whole. What reaches further than the margin is no nucleus and is cut
at the cell's border. Where two cells see a nucleus differently, the earlier one has it. Areas are joined over the
borders of cells afterwards.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.applying.field import Mask, Regions, corners, whole
from pipeline.applying.maps import Map, Maps, Position
from pipeline.applying.nuclei import find_nuclei, largest_piece
from pipeline.applying.windows import Window, squares
from pipeline.base.files import replacing
from pipeline.base.study_blocks import Instances
from pipeline.nuclei import watershed
from pipeline.slides.outlines import Labels, outlines
from pipeline.slides.slide import Grid
from pipeline.tiles.store import IGNORE

SIDE, MARGIN = 2048, 192  # px


@dataclass
class Cells:
    """The cells of a slide, each with a file once it was worked through: a line on it, then one a finished object."""

    folder: Path
    maps: Maps
    grid: Grid
    background: int | None  # code of the class that is nothing
    instances: Instances | None
    regions: Regions | None
    describe: Any  # (code, rings, pixels, probability) -> a line of GeoJSON
    side: int = SIDE
    margin: int = MARGIN

    @cached_property
    def windows(self) -> dict[Position, Window]:
        return dict(squares(self.grid.height, self.grid.width, self.side))

    def path(self, position: Position) -> Path:
        return self.folder / f"{position[0]}-{position[1]}.jsonl"

    def seen(self, position: Position) -> Window:
        """What a cell looks at."""
        return self.windows[position].wider(self.margin).part_of(whole(self.grid))

    def work(self, position: Position) -> None:
        """Find a cell's objects and keep them, whole or not at all; nothing where that was done before.

        Raises:
            RuntimeError: the cells above and left of it were not worked through.
        """
        if self.path(position).exists():
            return
        if not all(self.path(before).exists() for before in self._before(position)):
            raise RuntimeError(f"cell {position} needs those above and left of it")
        lines: list[str] = []
        head: dict[str, Any] = {"nuclei": {}, "open": []}
        found = self._nuclei(position) if self.instances else self._areas(position)
        for code, rings, pixels, sum_of_probability, is_open in found:
            if is_open:
                whole_rings = [ring.tolist() for ring in rings]
                head["open"].append([code, whole_rings, pixels, sum_of_probability])
                continue
            head["nuclei"][code] = head["nuclei"].get(code, 0) + 1
            lines.append(self.describe(code, corners(self.grid, rings), pixels, sum_of_probability / pixels / 255))
        with replacing(self.path(position)) as temporary:
            temporary.write_text("\n".join([json.dumps(head), *lines]) + "\n", encoding="utf-8")

    def _before(self, position: Position) -> list[Position]:
        """The neighbours of a cell that come before it."""
        row, column = position
        around = [(row - 1, column - 1), (row - 1, column), (row - 1, column + 1), (row, column - 1)]
        return [before for before in around if before in self.windows]

    def _areas(self, position: Position) -> Iterator[tuple[int, list[Any], int, int, bool]]:
        """The connected regions of each class in a cell; open where they touch its border."""
        from scipy.ndimage import label

        window = self.windows[position]
        classes, probability = self.look(window)
        for code in np.unique(classes):
            if code in (IGNORE, self.background):
                continue
            labels = np.asarray(label(classes == code)[0], np.int32)
            pixels = np.bincount(labels.ravel())
            sums = np.bincount(labels.ravel(), probability.ravel())
            inner = whole(self.grid)
            sides = [
                *([labels[0]] if window.top > inner.top else []),
                *([labels[-1]] if window.bottom < inner.bottom else []),
                *([labels[:, 0]] if window.left > inner.left else []),
                *([labels[:, -1]] if window.right < inner.right else []),
            ]
            touching = set(np.concatenate(sides).tolist()) if sides else set()
            for name, rings in outlines(labels):
                moved = [ring + np.array([window.left, window.top]) for ring in rings]
                yield int(code), moved, int(pixels[name]), int(sums[name]), name in touching

    def _nuclei(self, position: Position) -> Iterator[tuple[int, list[Any], int, int, bool]]:
        """The nuclei that a cell keeps."""
        assert self.instances is not None
        window = self.seen(position)
        classes, probability = self.maps.read(window)
        foreground = (classes != IGNORE) & (classes != (IGNORE if self.background is None else self.background))
        if not foreground.any():
            return
        labels = find_nuclei(foreground, self.instances)
        own = self._own(labels, position)
        self._take(position, own)
        codes = watershed.classes_of(own, classes, IGNORE, IGNORE if self.background is None else self.background)
        of_class = np.zeros(int(own.max()) + 1, np.uint8)
        of_class[list(codes)] = list(codes.values())
        agree = (own > 0) & (classes == of_class[own])
        votes = np.bincount(own[agree], minlength=len(of_class))
        sums = np.bincount(own[agree], probability[agree], minlength=len(of_class))
        areas = np.bincount(own.ravel())
        for name, rings in outlines(own):
            moved = [ring + np.array([window.left, window.top]) for ring in rings]
            # The mean is over the pixels that have the nucleus's class, and is told for all of its pixels.
            mean_sum = sums[name] / votes[name] * areas[name]
            yield codes[name], moved, int(areas[name]), mean_sum, False

    def _own(self, labels: Labels, position: Position) -> Labels:
        """The nuclei of a window (ids as they are) that the cell keeps, without what earlier cells have taken."""
        from scipy.ndimage import find_objects

        window, cell, slide = self.seen(position), self.windows[position], whole(self.grid)
        taken = self._taken(position)
        regions = None if self.regions is None else self.regions.mask(window, self.grid.downsample)
        inner = cell.rows_from(window.top), cell.columns_from(window.left)
        own = np.zeros_like(labels)
        for name, place in enumerate(find_objects(labels), start=1):
            if place is None:
                continue
            rows, columns = place
            pixels = labels[place] == name
            cut = (
                (rows.start == 0 and window.top > slide.top)
                or (columns.start == 0 and window.left > slide.left)
                or (rows.stop == window.height and window.bottom < slide.bottom)
                or (columns.stop == window.width and window.right < slide.right)
            )
            if cut:
                kept = np.zeros(labels.shape, np.bool_)
                kept[place] = pixels
                pixels, place = kept[inner], inner
                if not pixels.any():
                    continue
            else:
                first = columns.start + int(pixels[0].argmax())
                if not (inner[0].start <= rows.start < inner[0].stop and inner[1].start <= first < inner[1].stop):
                    continue
            if regions is not None and 2 * np.count_nonzero(regions[place] & pixels) < np.count_nonzero(pixels):
                continue
            free = pixels & ~taken[place]
            if cut or np.count_nonzero(free) < np.count_nonzero(pixels):
                free = largest_piece(free)
            if np.count_nonzero(free) >= max(1, self.instances.minimum_size if self.instances else 1):
                own[place][free] = name
        return own

    def _take(self, position: Position, own: Labels) -> None:
        """Remember which pixels of what a cell looks at are those of its nuclei."""
        with replacing(self._taken_path(position)) as temporary:
            temporary.write_bytes(np.packbits(own > 0).tobytes())

    def _taken(self, position: Position) -> Mask:
        """Which pixels of what a cell looks at are those of nuclei of earlier cells."""
        window = self.seen(position)
        taken = np.zeros((window.height, window.width), np.bool_)
        for before in self._before(position):
            if not self._taken_path(before).exists():
                continue  # it has no nucleus
            other = self.seen(before)
            bits = np.frombuffer(self._taken_path(before).read_bytes(), np.uint8)
            theirs = np.unpackbits(bits, count=other.height * other.width).reshape(other.height, other.width)
            part = window.part_of(other)
            here = part.rows_from(window.top), part.columns_from(window.left)
            taken[here] |= theirs[part.rows_from(other.top), part.columns_from(other.left)].astype(np.bool_)
        return taken

    def look(self, window: Window) -> tuple[Map, Map]:
        """Class map and probabilities of a window, IGNORE outside of the regions."""
        classes, probability = self.maps.read(window)
        if self.regions is not None and (classes != IGNORE).any():
            classes[~self.regions.mask(window, self.grid.downsample)] = IGNORE
        return classes, probability

    def _taken_path(self, position: Position) -> Path:
        return self.folder / f"{position[0]}-{position[1]}.taken"
