"""Polygons to pixels: a pixel belongs to a polygon whose inside holds its centre.

Coordinates are in px, x to the right and y down from the top left corner of the image, so that the pixel in row r and
column c has its centre at (c + 0.5, r + 0.5). What is inside is decided by the even-odd rule over all rings together,
which makes holes of inner rings and gives self-crossing outlines a meaning.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.float64]  # (N, 2), x and y of its corners; the last one is joined to the first
Mask = npt.NDArray[np.bool_]  # (H, W)


def window(rings: Sequence[Ring], height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of an image in which a polygon can have pixels; empty where it lies outside."""
    corners = np.concatenate(rings)
    left, top = (max(int(low), 0) for low in np.floor(corners.min(axis=0)))
    right, bottom = (int(high) for high in np.ceil(corners.max(axis=0)))
    return slice(top, max(top, min(bottom, height))), slice(left, max(left, min(right, width)))


def rasterise(rings: Sequence[Ring], rows: slice, columns: slice) -> Mask:
    """The pixels of a polygon in a window of the image.

    Each row's centre line is cut by the edges, and a pixel is inside where an odd number of cuts lies at or left of its
    centre. An edge owns its upper end, not its lower one, so polygons that share an edge share no pixel and leave none
    out, even where the edge runs through centres.

    Args:
        rings: finite corners; in any order and direction.
        rows, columns: of the window, with start and stop.

    Returns:
        (rows, columns) bool.
    """
    height, width = rows.stop - rows.start, columns.stop - columns.start
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    swap = start[:, 1] > end[:, 1]  # downwards, so that an edge is cut at the same place from both of its sides
    (x0, y0), (x1, y1) = np.where(swap, end.T, start.T), np.where(swap, start.T, end.T)
    first, last = (np.clip(np.ceil(y - 0.5 - rows.start), 0, height).astype(np.int64) for y in (y0, y1))
    edge = np.repeat(np.arange(len(x0)), last - first)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - last, last - first)
    cut = x0[edge] + (row + rows.start + 0.5 - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    column = np.clip(np.ceil(cut - 0.5 - columns.start), 0, width).astype(np.int64)
    cuts = np.zeros((height, width + 1), np.bool_)  # whether their number is odd
    np.logical_xor.at(cuts, (row, column), True)
    mask: Mask = np.logical_xor.accumulate(cuts[:, :width], axis=1)
    return mask
