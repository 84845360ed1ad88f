"""Scenes of whole slides: fat, and a duct filled by usual hyperplasia."""

import numpy as np
import numpy.typing as npt

from pipeline.drawing.canvas import Canvas, Rng, Vector, between, direction
from pipeline.drawing.nuclei import paint_nucleus
from pipeline.drawing.tissue import blob, cytoplasm, hole, stroma


def fat(canvas: Canvas, rng: Rng) -> None:
    """Fat cells, each a bare disc, with thin walls of collagen between."""
    stroma(canvas, rng, direction(rng), 0.6, 0.3)
    size, step = canvas.size, 15.0
    for row in range(int(size.y / step) + 1):
        for column in range(int(size.x / step) + 1):
            shift = step / 2 * (row % 2)
            centre = Vector(row * step + between(rng, (-1, 1)), column * step + shift + between(rng, (-1, 1)))
            hole(canvas, blob(canvas, rng, centre, between(rng, (6.5, 7.6)), 0.15))


def hyperplasia(canvas: Canvas, rng: Rng, corners: int) -> npt.NDArray[np.float64]:
    """A wide duct crowded with overlapping cells around a few slit-like lumina, in stroma.

    Returns:
        Its outline (corners, 2), x and y in px, as seen from its middle.
    """
    stroma(canvas, rng, direction(rng), between(rng, (0.5, 0.8)), between(rng, (0.2, 0.6)))
    size, pixel = canvas.size, canvas.microns_per_pixel
    centre, radius = Vector(size.y / 2, size.x / 2), between(rng, (0.28, 0.36)) * min(size)
    inside = blob(canvas, rng, centre, radius, 0.35)
    cytoplasm(canvas, rng, inside, between(rng, (0.15, 0.3)), between(rng, (0.3, 0.5)))
    for _ in range(int(between(rng, (3, 7)))):
        away, far, long = direction(rng), between(rng, (0.2, 0.8)) * radius, direction(rng)
        for part in (-3.0, 0.0, 3.0):  # three discs in a row make a slit
            at = Vector(centre.y + away.y * far + long.y * part, centre.x + away.x * far + long.x * part)
            hole(canvas, blob(canvas, rng, at, 2.4, 0.3))
    rows, columns = canvas.instances.shape
    for _ in range(int(0.08 * radius * radius * 3.2)):
        at = Vector(centre.y + between(rng, (-1, 1)) * radius, centre.x + between(rng, (-1, 1)) * radius)
        row, column = min(rows - 1, int(at.y / pixel)), min(columns - 1, int(at.x / pixel))
        if inside[row, column] > 0.5:
            paint_nucleus(canvas, rng, "epithelial", at, direction(rng))
    return _outline(inside > 0.5, centre, pixel, corners)


def _outline(mask: npt.NDArray[np.bool_], centre: Vector, pixel: float, corners: int) -> npt.NDArray[np.float64]:
    """Where rays from the centre leave the mask for good, x and y in px; rays go to points evenly along a square."""
    quarter = corners // 4
    steps = [2 * (number + 0.5) / quarter - 1 for number in range(quarter)]
    rays = (
        [(-1.0, s) for s in steps]
        + [(s, 1.0) for s in steps]
        + [(1.0, -s) for s in steps]
        + [(-s, -1.0) for s in steps]
    )
    middle = centre.y / pixel, centre.x / pixel
    reach = min(mask.shape) // 2
    points = []
    for down, right in rays:
        far = np.arange(reach) * 1.0
        rows, columns = (middle[0] + down * far).astype(np.int64), (middle[1] + right * far).astype(np.int64)
        last = int(np.nonzero(mask[rows, columns])[0].max(initial=0))
        points.append((middle[1] + right * (last + 0.5), middle[0] + down * (last + 0.5)))
    return np.array(points)
