"""Tissues: what the brushes make when they are used together."""

import math

import numpy as np

from pipeline.drawing.canvas import Canvas, Field, Rng, Vector, between, direction
from pipeline.drawing.nuclei import paint_nucleus
from pipeline.drawing.tissue import blob, cytoplasm, hole, stroma, vessel


def tumour(canvas: Canvas, rng: Rng) -> None:
    """A nest of tumour cells in stroma, with a few lymphocytes and fibroblasts."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.55, 0.9)), between(rng, (0.2, 0.9)))
    nest = _side(canvas, rng, grain, between(rng, (0.5, 1.1)))
    hole(canvas, np.clip(1 - np.abs(nest + 1.2) / 1.2, 0, 1) * between(rng, (0, 1)))  # the cleft around a nest
    inside = np.clip(nest, 0, 1)
    cytoplasm(canvas, rng, inside, between(rng, (0.12, 0.4)), between(rng, (0.25, 0.55)))
    holes(canvas, rng, between(rng, (0, 1.5)), (1.5, 4))
    scale = between(rng, (0.8, 1.1))
    if rng.random() < 0.4:  # a tumour that still forms glands, hard to tell from a duct
        at = Vector(canvas.size.y * float(rng.random()), canvas.size.x * float(rng.random()))
        gland(canvas, rng, "neoplastic", at, between(rng, (1, 5)), 1)
    scatter(canvas, rng, "neoplastic", between(rng, (6, 13)), inside, None, scale)
    scatter(canvas, rng, "connective", between(rng, (2, 6)), 1 - inside, grain)
    scatter(canvas, rng, "inflammatory", between(rng, (0, 2)))


def infiltrate(canvas: Canvas, rng: Rng) -> None:
    """Lymphocytes at the border of a tumour."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.5, 0.8)), between(rng, (0.5, 1)))
    inside = np.clip(_side(canvas, rng, grain, between(rng, (0.2, 0.5))), 0, 1)
    cytoplasm(canvas, rng, inside, between(rng, (0.12, 0.4)), between(rng, (0.25, 0.5)))
    scatter(canvas, rng, "neoplastic", 11, inside, None, between(rng, (0.8, 1.05)))
    scatter(canvas, rng, "inflammatory", between(rng, (7, 15)), 1 - 0.9 * inside)
    scatter(canvas, rng, "connective", between(rng, (1, 4)), 1 - inside, grain)


def duct(canvas: Canvas, rng: Rng) -> None:
    """A duct or lobule: rows of epithelial cells around a lumen, stroma outside."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.5, 0.9)), between(rng, (0.1, 0.8)))
    size = canvas.size
    for _ in range(max(1, round(size.y * size.x / 2000))):
        centre = Vector(size.y * between(rng, (0.2, 0.8)), size.x * between(rng, (0.2, 0.8)))
        gland(canvas, rng, "epithelial", centre, between(rng, (0, 9)), int(between(rng, (1, 3))))
    scatter(canvas, rng, "connective", between(rng, (3, 6)), np.where(canvas.haematoxylin > 0.3, 0.0, 1.0), grain)
    scatter(canvas, rng, "inflammatory", between(rng, (0, 2.5)))


def fibrous(canvas: Canvas, rng: Rng) -> None:
    """Stroma with fibroblasts, sometimes fat or a vessel with red cells."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.5, 1.1)), between(rng, (0, 1)))
    if rng.random() < 0.5:
        holes(canvas, rng, between(rng, (1, 2)), (9, 18))
    if rng.random() < 0.7:
        vessel(canvas, rng)
    scatter(canvas, rng, "connective", between(rng, (4, 9)), None, grain)
    scatter(canvas, rng, "inflammatory", between(rng, (0, 4)))


def crypts(canvas: Canvas, rng: Rng) -> None:
    """What no breast looks like: tall cells with goblets of mucus around crypts, in cellular stroma."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.3, 0.5)), 1.0)
    size = canvas.size
    cytoplasm(canvas, rng, np.ones(canvas.instances.shape), 0.3, 0.2)
    holes(canvas, rng, 5, (1.5, 3.5))
    for _ in range(max(1, round(size.y * size.x / 1000))):
        centre = Vector(size.y * between(rng, (0, 1)), size.x * between(rng, (0, 1)))
        gland(canvas, rng, "epithelial", centre, between(rng, (8, 14)), 1)
    scatter(canvas, rng, "inflammatory", between(rng, (3, 8)))
    scatter(canvas, rng, "connective", 2, None, grain)
    if rng.random() < 0.5:
        one(canvas, rng, "dead")
        scatter(canvas, rng, "neoplastic", 3)


BREAST = (tumour, tumour, duct, infiltrate, tumour, duct, fibrous, duct)


def gland(canvas: Canvas, rng: Rng, kind: str, centre: Vector, lumen: float, layers: int) -> None:
    """Rings of nuclei around a lumen of so many µm radius."""
    around = blob(canvas, rng, centre, lumen + 5 + 5.5 * layers, 0.25)
    cytoplasm(canvas, rng, around, between(rng, (0.1, 0.3)), between(rng, (0.3, 0.5)))
    hole(canvas, blob(canvas, rng, centre, lumen, 0.5))
    for layer in range(layers):
        radius = lumen + 5.5 + 5.5 * layer
        step = between(rng, (4.6, 6.2)) / radius / 2  # the tangent of half the angle between neighbours
        turn = Vector(2 * step / (1 + step * step), (1 - step * step) / (1 + step * step))
        at = direction(rng)
        for _ in range(int(3.1 / step)):
            at = Vector(at.y * turn.x + at.x * turn.y, at.x * turn.x - at.y * turn.y)
            far = radius + between(rng, (-1.2, 1.2))
            axis = at if layer == 0 or rng.random() < 0.5 else direction(rng)
            paint_nucleus(canvas, rng, kind, Vector(centre.y + at.y * far, centre.x + at.x * far), axis)


def _side(canvas: Canvas, rng: Rng, grain: Vector, share: float) -> Field:
    """Distance in µm into the part of the canvas on one side of an uneven line along `grain`; negative outside."""
    size = canvas.size
    y, x = canvas.from_point(Vector(size.y / 2, size.x / 2))
    across = x * grain.y - y * grain.x
    return across + (share - 0.5) * size.x + 10 * (canvas.noise(rng, 10) - 0.5)


def scatter(
    canvas: Canvas,
    rng: Rng,
    kind: str,
    density: float,
    where: Field | None = None,
    axis: Vector | None = None,
    scale: float = 1.0,
) -> None:
    """Throw nuclei at random places, `density` for 1,000 µm², onto where `where` allows it with its probability."""
    size, (rows, columns) = canvas.size, canvas.instances.shape
    wanted = density * size.y * size.x / 1000
    for _ in range(int(wanted * 2.5 + rng.random())):
        down, right, chance = (float(value) for value in rng.random(3))
        if where is not None and chance >= where[int(down * rows), int(right * columns)]:
            continue
        along = direction(rng)
        if axis is not None:  # mostly along the fibres
            along = _towards(axis, along, 0.25)
        if paint_nucleus(canvas, rng, kind, Vector(down * size.y, right * size.x), along, scale):
            wanted -= 1
        if wanted < 0.5:
            return


def one(canvas: Canvas, rng: Rng, kind: str) -> None:
    """Put one nucleus where there is room, well inside the canvas."""
    size = canvas.size
    for _ in range(200):
        centre = Vector(size.y * between(rng, (0.1, 0.9)), size.x * between(rng, (0.1, 0.9)))
        if paint_nucleus(canvas, rng, kind, centre, direction(rng)):
            return


def _towards(axis: Vector, other: Vector, share: float) -> Vector:
    """`axis`, turned a little towards another direction."""
    y, x = axis.y + share * other.y, axis.x + share * other.x
    length = math.sqrt(y * y + x * x)
    return Vector(y / length, x / length)


def holes(canvas: Canvas, rng: Rng, count: float, radius: tuple[float, float]) -> None:
    """Bare round places, `count` for 1,000 µm²."""
    size = canvas.size
    for _ in range(int(count * size.y * size.x / 1000 + rng.random())):
        centre = Vector(size.y * float(rng.random()), size.x * float(rng.random()))
        hole(canvas, blob(canvas, rng, centre, between(rng, radius), 0.3))
