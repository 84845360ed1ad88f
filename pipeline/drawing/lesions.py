"""What a pathologist outlines or names: fields of one tissue beside another, and four kinds of breast tissue."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.drawing.canvas import Canvas, Field, Rng, Vector, between, direction
from pipeline.drawing.scenes import gland, holes, scatter
from pipeline.drawing.tissue import blob, cytoplasm, hole, stroma, vessel


@dataclass(frozen=True)
class Ground:
    """How a tissue looks: what lies between its nuclei, and how many of them are tried in 1,000 µm²."""

    haematoxylin: float  # optical density
    eosin: float
    nuclei: dict[str, float] = field(default_factory=dict)
    bubbles: tuple[float, float] = (0.0, 0.0)  # number in 1,000 µm² and radius in µm of round pieces of ...
    filling: float | None = None  # ... eosin of this optical density, or of nothing at all


TISSUES = {
    "tumor": Ground(0.3, 0.42, {"neoplastic": 12}),
    "stroma": Ground(0.0, 0.0, {"connective": 5}),  # nothing over the fibres
    "lymphocytic_infiltrate": Ground(0.12, 0.2, {"inflammatory": 18}),
    "necrosis_or_debris": Ground(0.2, 0.95, {"dead": 5}),
    "blood": Ground(0.02, 0.25, {}, (60, 2.4), 1.2),
    "exclude": Ground(0.75, 0.75),  # a fold: both dyes thick, nothing to see
    "fat": Ground(0.02, 0.2, {}, (4, 9)),
    "mucoid_material": Ground(0.3, 0.03, {"inflammatory": 0.5}),
    "normal_acinus_or_duct": Ground(0.12, 0.4, {"epithelial": 9}, (2, 3)),
    "undetermined": Ground(0.35, 0.6),
    "dcis": Ground(0.4, 0.25, {"neoplastic": 16}, (0.8, 4)),
}


def mosaic(canvas: Canvas, rng: Rng, tissues: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Fill the canvas with fields of these tissues, each around a random point, and say where each lies.

    Returns:
        Index into `tissues`, (H, W).
    """
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.55, 0.85)), between(rng, (0.2, 0.8)))
    size, nearest = canvas.size, np.full(canvas.instances.shape, np.inf)
    places = np.zeros(canvas.instances.shape, np.int64)
    for index in range(len(tissues)):
        y, x = canvas.from_point(Vector(size.y * float(rng.random()), size.x * float(rng.random())))
        distance = np.sqrt(y * y + x * x) + 16 * canvas.noise(rng, 14)
        places[distance < nearest] = index
        nearest = np.minimum(nearest, distance)
    for index, tissue in enumerate(tissues):
        _fill(canvas, rng, TISSUES[tissue], (places == index).astype(np.float64), grain)
    return places


def _fill(canvas: Canvas, rng: Rng, look: Ground, cover: Field, grain: Vector) -> None:
    """Lay a tissue over the canvas where `cover` is 1."""
    if look.haematoxylin or look.eosin:
        cytoplasm(canvas, rng, cover, look.haematoxylin, look.eosin)
    size, (count, radius) = canvas.size, look.bubbles
    for _ in range(int(count * size.y * size.x / 1000)):
        centre = Vector(size.y * float(rng.random()), size.x * float(rng.random()))
        bubble = blob(canvas, rng, centre, radius * between(rng, (0.7, 1.2)), 0.3) * cover
        if look.filling is None:
            hole(canvas, bubble)
        else:
            canvas.blend(bubble, 0.02, look.filling * between(rng, (0.6, 1)))
    for kind, density in look.nuclei.items():
        scatter(canvas, rng, kind, density, cover, grain if kind == "connective" else None)


def normal(canvas: Canvas, rng: Rng) -> None:
    """A small duct of one row of cells, and fat."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.5, 0.8)), between(rng, (0.3, 0.9)))
    holes(canvas, rng, between(rng, (0.8, 1.4)), (10, 16))
    gland(canvas, rng, "epithelial", _middle(canvas, rng, 0.25), between(rng, (4, 8)), 1)
    scatter(canvas, rng, "connective", between(rng, (2, 4)), None, grain)


def benign(canvas: Canvas, rng: Rng) -> None:
    """Many ducts of two rows of cells, close together, in dense fibres."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.8, 1.1)), between(rng, (0.0, 0.3)))
    size = canvas.size
    for _ in range(max(3, round(size.y * size.x / 1100))):
        gland(canvas, rng, "epithelial", _middle(canvas, rng, 0.5), between(rng, (2, 7)), 2)
    scatter(canvas, rng, "connective", between(rng, (6, 9)), np.where(canvas.haematoxylin > 0.3, 0.0, 1.0), grain)


def in_situ(canvas: Canvas, rng: Rng) -> None:
    """A wide duct filled with tumour cells, dead in its middle, with a smooth border to the fibres."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.6, 0.9)), between(rng, (0.1, 0.5)))
    size, centre = canvas.size, _middle(canvas, rng, 0.15)
    radius = min(size) * between(rng, (0.36, 0.46))
    duct, comedo = blob(canvas, rng, centre, radius, 0.12), blob(canvas, rng, centre, 0.35 * radius, 0.3)
    hole(canvas, blob(canvas, rng, centre, radius + 2, 0.12))  # the cleft around it
    canvas.bare &= duct < 0.5
    cytoplasm(canvas, rng, duct, 0.3, 0.35)
    cytoplasm(canvas, rng, comedo, 0.15, 1.0)
    scatter(canvas, rng, "neoplastic", 6, np.clip(duct - comedo, 0, 1), None, 0.85)
    scatter(canvas, rng, "dead", 0.6, comedo)
    scatter(canvas, rng, "connective", between(rng, (2, 4)), 1 - duct, grain)


def invasive(canvas: Canvas, rng: Rng) -> None:
    """Tumour cells everywhere, in cords without a border, with lymphocytes between them."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.4, 0.7)), between(rng, (0.5, 1)))
    cords = np.clip((canvas.noise(rng, 9) - 0.4) * 6, 0, 1)
    cytoplasm(canvas, rng, cords, between(rng, (0.2, 0.4)), between(rng, (0.3, 0.5)))
    scatter(canvas, rng, "neoplastic", between(rng, (6, 9)), cords)
    scatter(canvas, rng, "inflammatory", between(rng, (1, 4)), 1 - cords)
    scatter(canvas, rng, "connective", between(rng, (1, 3)), 1 - cords, grain)
    if rng.random() < 0.5:
        vessel(canvas, rng)


def _middle(canvas: Canvas, rng: Rng, spread: float) -> Vector:
    """A random place at most `spread` of the canvas from its middle."""
    near = (0.5 - spread, 0.5 + spread)
    return Vector(canvas.size.y * between(rng, near), canvas.size.x * between(rng, near))
