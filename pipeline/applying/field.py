"""What of a slide is looked at: tiles that are not glass and, where a person drew regions, those near them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.applying.windows import Window
from pipeline.base.errors import Problem
from pipeline.slides.annotations import rings_of
from pipeline.slides.geojson import read_features
from pipeline.slides.polygons import rasterise
from pipeline.slides.slide import Grid, Slide
from pipeline.slides.tiling import GLASS, PATCH, SHARP, shows_tissue

WIDEST = 8192  # px of the overview's longer side, at most
GREY = 12  # of 255 between a pixel's channels, at most: what JPEG makes of a grey one
STRIP = 256  # rows of the overview in which colour is sought at once
MARGIN = 25.0  # µm around a region that are predicted, too, so that a nucleus at its border is whole

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Field:
    """The tiles of a slide that are predicted, as a mask (rows, columns) of their grid."""

    grid: Grid
    chosen: Mask
    has_colour: bool = True  # as far as anybody looked

    @property
    def tiles(self) -> int:
        return int(np.count_nonzero(self.chosen))

    def inside(self, row: int, column: int) -> Window:
        """What a tile has of the slide."""
        width, height = self.grid.inside(column, row)
        return Window(row * self.grid.stride, column * self.grid.stride, height, width)

    def tiles_in(self, window: Window) -> list[tuple[int, int]]:
        """Top and left, px, of the tiles that meet a window, row after row."""
        size, stride = self.grid.tile_size, self.grid.stride
        rows = range(max(0, (window.top - size) // stride + 1), -(-window.bottom // stride))
        columns = range(max(0, (window.left - size) // stride + 1), -(-window.right // stride))
        part = self.chosen[rows.start : rows.stop, columns.start : columns.stop]
        return [
            (int(row + rows.start) * stride, int(column + columns.start) * stride) for row, column in np.argwhere(part)
        ]


class Regions:
    """Areas that a person drew on a slide, of whatever class.

    Raises:
        Problem: the file cannot be read or holds no area.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shapes: list[BaseGeometry] = []
        for number, feature in enumerate(read_features(path), start=1):
            try:
                shape = shapely.make_valid(shapely.geometry.shape(feature["geometry"]))
            except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
                raise Problem(f"{path}: feature {number} has no outline ({error}); export it again.") from None
            self.shapes += [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
        if not self.shapes:
            raise Problem(f"{path} holds no area; draw one, or leave --regions out.")

    def meet(self, grid: Grid) -> Mask:
        """Which tiles of a grid (rows, columns) come near a region."""
        margin = MARGIN / grid.microns_per_pixel * grid.downsample
        rows, columns = np.mgrid[: grid.rows, : grid.columns]
        left, top = (places.ravel() * grid.stride * grid.downsample - margin for places in (columns, rows))
        side = grid.tile_size * grid.downsample + 2 * margin
        tree = shapely.STRtree(shapely.box(left, top, left + side, top + side))
        _, tiles = tree.query(np.array(self.shapes, object), predicate="intersects")
        found = np.zeros(grid.rows * grid.columns, np.bool_)
        found[tiles] = True
        return found.reshape(grid.rows, grid.columns)

    def mask(self, window: Window, downsample: float) -> Mask:
        """Which pixels of a window lie in a region."""
        found = np.zeros((window.height, window.width), np.bool_)
        for shape in self.shapes:
            rings = [ring / downsample - (window.left, window.top) for ring in rings_of(shape)]
            low, high = np.concatenate(rings).min(axis=0), np.concatenate(rings).max(axis=0)
            if (high > 0).all() and (low < (window.width, window.height)).all():
                found |= rasterise(rings, slice(0, window.height), slice(0, window.width))
        return found


def look(slide: Slide, grid: Grid, background: float, regions: Regions | None) -> Field:
    """The tiles that are predicted.

    Args:
        background: standard deviation of RGB below which a tile is glass, by the rule of tiling; 0 keeps all.

    Raises:
        Problem: no region lies on the slide.
    """
    chosen: Mask = np.ones((grid.rows, grid.columns), np.bool_)
    has_colour = True
    if background:
        longest = max(slide.width, slide.height)
        wanted = min(int(grid.tile_size * grid.downsample / PATCH), longest // SHARP)
        downsample = max(1, wanted, -(-longest // WIDEST))
        overview = slide.overview(downsample)
        strips = (overview[top : top + STRIP] for top in range(0, len(overview), STRIP))
        has_colour = any((np.ptp(strip, axis=2) > GREY).any() for strip in strips)
        chosen = shows_tissue(grid, overview, grid.downsample / downsample, GLASS * background)
    if regions is not None:
        near = regions.meet(grid)
        if not near.any():
            raise Problem(f"{regions.path} has no region on {slide.path}; it was drawn on another slide.")
        chosen = chosen & near
    return Field(grid, chosen, has_colour)


def tile_grid(slide: Slide, size: int, overlap: int, microns_per_pixel: float, parameter: str) -> Grid:
    """The overlapping tiles of a slide at the model's resolution.

    Raises:
        Problem: the slide is coarser than that.
    """
    try:
        return slide.grid(size, size - overlap, microns_per_pixel)
    except Problem:
        raise Problem(
            f"{slide.path} has {slide.microns_per_pixel:.4g} um/px, coarser than the model's {microns_per_pixel:.4g};"
            f" take a finer scan, or give its true resolution by {parameter}."
        ) from None


def whole(grid: Grid) -> Window:
    """All of a slide, px of a tile."""
    return Window(0, 0, grid.height, grid.width)


def corners(grid: Grid, rings: Sequence[npt.NDArray[np.int64]]) -> list[list[list[float]]]:
    """Closed rings in px of the slide's full resolution, to a thousandth."""
    scale = int(grid.downsample) if grid.downsample == int(grid.downsample) else grid.downsample
    scaled = [(np.vstack([ring, ring[:1]]) * scale) for ring in rings]
    return [np.round(ring, 3).tolist() for ring in scaled]
