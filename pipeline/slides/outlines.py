"""Pixels to polygons, the inverse of `polygons.rasterise`: outlines run along the edges of pixels.

A region is 4-connected. Where two of its pixels meet at a corner alone, an outline that walked around both would touch
itself, which no valid polygon does; there it is parted, so that what it enclosed becomes a hole that touches the outer
ring, or another hole, at that corner. Every region is thus one valid polygon, and its pixels come back exactly.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Corners = npt.NDArray[np.int64]  # (N, 2), x and y, the first corner once
Labels = npt.NDArray[np.int32]  # (H, W)

STARTS = np.array(
    [(0, 0), (1, 0), (1, 1), (0, 1)]
)  # x and y of where an edge of a pixel starts: top, right, bottom, left


def outlines(labels: Labels) -> Iterator[tuple[int, list[Corners]]]:
    """Each label but 0 with its rings, the outer one first; in the order of the labels' first pixels, row after row.

    Args:
        labels: every label one 4-connected region.
    """
    found: dict[int, list[Corners]] = {}
    for label, ring in _rings(labels):
        found.setdefault(label, []).extend(_parted(ring))
    for label, rings in found.items():
        yield label, sorted(rings, key=lambda ring: -_turning(ring))


def without_straight(ring: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A ring (N, 2) along the edges of pixels, without the corners at which it does not turn."""
    same = (ring == np.roll(ring, 1, axis=0)) & (ring == np.roll(ring, -1, axis=0))
    return ring[~same.any(axis=1)]


def _rings(labels: Labels) -> Iterator[tuple[int, Corners]]:
    """Outlines as walked around pixels, with the region at the right hand; those of one label may touch themselves.

    The edges of a pixel are numbered 0 to 3: top, right, bottom, left, in the order of the walk around it.
    """
    padded = np.pad(labels, 1)
    width, flat = padded.shape[1], padded.ravel()
    outside = np.array([-width, 1, width, -1])  # what lies beyond an edge
    ahead = np.array([1, width, -1, -width])  # the pixel to which the walk along an edge leads
    pixels = np.flatnonzero(flat)
    pixel, side = np.nonzero(flat[pixels[:, None] + outside] != flat[pixels][:, None])
    if not len(pixel):
        return
    pixel = pixels[pixel]
    front = pixel + ahead[side]
    left = front + outside[side]
    convex, straight = flat[front] != flat[pixel], flat[left] != flat[pixel]
    onto = np.where(convex, pixel, np.where(straight, front, left))
    turned = np.where(convex, side + 1, np.where(straight, side, side + 3)) % 4
    follower = np.searchsorted(pixel * 4 + side, onto * 4 + turned).tolist()
    walked = bytearray(len(follower))
    order: list[int] = []
    ends: list[int] = []
    for start in range(len(follower)):
        if walked[start]:
            continue
        edge = start
        while not walked[edge]:
            walked[edge] = 1
            order.append(edge)
            edge = follower[edge]
        ends.append(len(order))
    pixel, side = pixel[order], side[order]
    corners = np.stack([pixel % width, pixel // width], axis=1) - 1 + STARTS[side]
    before = np.roll(side, 1)
    before[[0, *ends[:-1]]] = side[np.array(ends) - 1]
    turns = side != before
    for first, end in zip([0, *ends[:-1]], ends, strict=True):
        yield int(flat[pixel[first]]), corners[first:end][turns[first:end]]


def _parted(ring: Corners) -> Iterator[Corners]:
    """The simple rings of one that may come to a corner twice."""
    walk = [tuple(corner) for corner in ring.tolist()]
    if len(set(walk)) == len(walk):
        yield ring
        return
    place: dict[tuple[int, ...], int] = {}
    open_walk: list[tuple[int, ...]] = []
    for corner in walk:
        if corner in place:
            loop = open_walk[place[corner] :]
            del open_walk[place[corner] :]
            for passed in loop:
                del place[passed]
            yield np.array(loop)
        place[corner] = len(open_walk)
        open_walk.append(corner)
    yield np.array(open_walk)


def _turning(ring: Corners) -> int:
    """Twice the area of a ring, below 0 where it goes around a hole."""
    (x, y), (next_x, next_y) = ring.T, np.roll(ring, -1, axis=0).T
    return int((x * next_y - next_x * y).sum())
