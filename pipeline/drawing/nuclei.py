"""Nuclei of the five kinds that PanNuke tells apart."""

from dataclasses import dataclass

import numpy as np

from pipeline.drawing.canvas import Canvas, Field, Mask, Rng, Vector, between, direction, noise


@dataclass(frozen=True)
class Nucleus:
    """How nuclei of one kind look. Pairs are limits between which each nucleus is drawn."""

    length: tuple[float, float]  # µm
    aspect: tuple[float, float]  # width over length
    density: tuple[float, float]  # optical density of the chromatin in haematoxylin
    eosin: float  # optical density
    wobble: float  # unevenness of the outline, as a part of the radius
    clumps: float  # contrast of the chromatin, 0..1
    rim: float  # darkening of the membrane, optical density
    nucleoli: int = 0  # at most
    taper: float = 0.0  # 0 = ellipse, towards 1 = pointed ends
    fragments: int = 0  # pieces that have broken off
    halo: float = 0.0  # eosin that condensed cytoplasm adds around it (negative: a clear ring)


NUCLEI = {
    "neoplastic": Nucleus((6.0, 11.5), (0.55, 0.95), (0.45, 1.15), 0.22, 0.28, 0.7, 0.3, nucleoli=3),
    "inflammatory": Nucleus((4.2, 7.0), (0.7, 1.0), (0.85, 1.6), 0.15, 0.08, 0.3, 0.1, halo=-0.12),
    "connective": Nucleus((6.5, 13.0), (0.16, 0.38), (0.55, 1.3), 0.3, 0.3, 0.45, 0.1, taper=0.35),
    "dead": Nucleus((3.2, 5.0), (0.65, 1.0), (1.0, 1.6), 0.65, 0.3, 0.15, 0.0, fragments=4, halo=0.3),
    "epithelial": Nucleus((5.5, 9.5), (0.5, 0.9), (0.5, 1.25), 0.22, 0.16, 0.55, 0.2, nucleoli=1),
}


def paint_nucleus(canvas: Canvas, rng: Rng, kind: str, centre: Vector, axis: Vector, scale: float = 1.0) -> bool:
    """Put a nucleus under those that are there already, so that neighbours touch and none is overwritten.

    Returns:
        False where nothing was painted: it lies outside, or more than a fifth of it would be hidden or on bare glass.
    """
    look, pixel = NUCLEI[kind], canvas.microns_per_pixel
    long = between(rng, look.length) * scale / 2
    wide = long * between(rng, look.aspect)
    window = tuple(
        slice(max(0, int((at - 1.7 * long) / pixel)), max(0, int((at + 1.7 * long) / pixel) + 1)) for at in centre
    )
    taken = canvas.instances[window] > 0
    if taken.size == 0:
        return False
    y, x = canvas.from_point(centre)
    y, x = y[window[0]], x[:, window[1]]
    along = y * axis.y + x * axis.x
    across = x * axis.y - y * axis.x + between(rng, (-0.3, 0.3)) * look.taper * along * along / long
    part = along / long
    across = across / (wide * (1 - look.taper * np.minimum(part * part, 1)))
    distance = np.sqrt(part * part + across * across)
    for _ in range(int(rng.random() * (look.fragments + 1))):
        away, radius = direction(rng), long * between(rng, (0.25, 0.45))
        down, right = y - away.y * long * 1.15, x - away.x * long * 1.15
        distance = np.minimum(distance, np.sqrt(down * down + right * right) / radius)
    body = distance + 2 * look.wobble * (noise(rng, taken.shape, long / pixel) - 0.5)
    inside = body < 1
    if (inside & ~taken & ~canvas.bare[window]).sum() < max(0.8 * inside.sum(), 12):
        return False
    _fill(canvas, rng, look, window, body, (y, x), long, ~taken)
    number = len(canvas.nuclei) + 1
    canvas.instances[window][inside & ~taken] = number
    canvas.nuclei[number] = kind
    return True


def _fill(
    canvas: Canvas,
    rng: Rng,
    look: Nucleus,
    window: tuple[slice, ...],
    body: Field,
    offsets: tuple[Field, Field],
    radius: float,
    free: Mask,
) -> None:
    """Stain a nucleus (`body` < 1) and its halo, where `free`."""
    pixel, (y, x) = canvas.microns_per_pixel, offsets
    clumps = 1.5 * noise(rng, body.shape, 1.2 / pixel) + 1.3 * noise(rng, body.shape, 0.5 / pixel) - 1.4
    chromatin = between(rng, look.density) * (1 + look.clumps * clumps)
    chromatin += look.rim * np.clip(1 - np.abs(body - 0.88) / 0.2, 0, 1)
    eosin = np.full(body.shape, look.eosin)
    for _ in range(int(rng.random() * (look.nucleoli + 1))):
        away, far, size = direction(rng), between(rng, (0, 0.5)) * radius, between(rng, (0.5, 0.95))
        down, right = y - away.y * far, x - away.x * far
        spot = np.clip(1.6 - np.sqrt(down * down + right * right) / size, 0, 1)
        chromatin += 0.55 * spot
        eosin += 0.25 * spot
    ring = np.clip(1 - np.abs(body - 1.15) / 0.35, 0, 1) * free
    canvas.eosin[window] = np.maximum(canvas.eosin[window] + look.halo * ring, 0)
    cover = np.clip((1 - body) * radius / 0.45, 0, 1) * free
    canvas.blend(cover, chromatin, eosin, window)
