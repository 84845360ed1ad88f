"""Brushes for synthetic H&E tissue: noise, stroma, cytoplasm, holes, nuclei, stain and camera.

Lengths and positions are in µm on a `Canvas`, so that the same brush draws at any pixel size. A canvas holds the
amounts of the two dyes, not colours; `photograph` turns them into RGB by the law of Beer and Lambert.

Same bytes on every machine: random numbers are taken from PCG64 as uniform ones alone, and pixels are computed by
elementwise + - * / and square root, which IEEE 754 fixes to the last bit (no sine, no FFT, no matrix product, no sum
of floats). The only exponential is a table of integers. Not covered: a NumPy that changes the stream of
`Generator.random` (it may, by its policy, and never has), and machines without 64-bit IEEE arithmetic.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]  # (H, W)
Mask = npt.NDArray[np.bool_]  # (H, W)
Rng = np.random.Generator

STEPS = 1024  # of the table below, in a unit of optical density
TRANSMITTANCE = np.array([round(65536 * math.exp(-step / STEPS)) for step in range(4 * STEPS)]) / 65536


class Vector(NamedTuple):
    """A position in µm from the top left corner, or a direction of length 1."""

    y: float
    x: float


@dataclass
class Canvas:
    """A piece of tissue: the optical density of each dye, and its nuclei."""

    haematoxylin: Field
    eosin: Field
    instances: npt.NDArray[np.int32]  # 0 = none
    bare: Mask  # glass without tissue
    microns_per_pixel: float
    nuclei: dict[int, str] = field(default_factory=dict)  # instance id -> kind

    @classmethod
    def blank(cls, height: int, width: int, microns_per_pixel: float) -> "Canvas":
        """An empty canvas; height and width in px."""
        shape = (height, width)
        return cls(
            np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int32), np.zeros(shape, np.bool_), microns_per_pixel
        )

    @property
    def size(self) -> Vector:
        """Height and width, µm."""
        height, width = self.instances.shape
        return Vector(height * self.microns_per_pixel, width * self.microns_per_pixel)

    def from_point(self, point: Vector) -> tuple[Field, Field]:
        """Offsets of all pixels from a point, µm: (H, 1) and (1, W)."""
        height, width = self.instances.shape
        y = np.arange(height)[:, None] * self.microns_per_pixel - point.y
        return y, np.arange(width)[None, :] * self.microns_per_pixel - point.x

    def noise(self, rng: Rng, grain: float) -> Field:
        """Noise over the canvas with grains of so many µm."""
        return noise(rng, self.instances.shape, grain / self.microns_per_pixel)

    def blend(
        self, cover: Field, haematoxylin: Field | float, eosin: Field | float, window: tuple[slice, ...] = ()
    ) -> None:
        """Replace what is there (in a window) where `cover` is 1, and nothing where it is 0."""
        for dye, amount in ((self.haematoxylin, haematoxylin), (self.eosin, eosin)):
            dye[window] += cover * (amount - dye[window])


def between(rng: Rng, limits: tuple[float, float]) -> float:
    """A uniform random number between two limits."""
    return limits[0] + (limits[1] - limits[0]) * float(rng.random())


def direction(rng: Rng) -> Vector:
    """A random direction, by a point in the unit disc (a sine may differ in its last bit between machines)."""
    while True:
        y, x = 2 * float(rng.random()) - 1, 2 * float(rng.random()) - 1
        square = y * y + x * x
        if 0.01 < square <= 1:
            return Vector(y / math.sqrt(square), x / math.sqrt(square))


def noise(rng: Rng, shape: tuple[int, ...], grain: float) -> Field:
    """Smooth noise in 0..1: a random lattice of `grain` px, interpolated."""
    lattice = rng.random((int(shape[0] / grain) + 3, int(shape[1] / grain) + 3))
    y, down = _lattice(np.arange(shape[0]) / grain + rng.random())
    x, right = _lattice(np.arange(shape[1]) / grain + rng.random())
    lines = lattice[y] + (lattice[y + 1] - lattice[y]) * down[:, None]
    near = lines[:, x]
    result: Field = near + (lines[:, x + 1] - near) * right
    return result


def strands(rng: Rng, along: Field, across: Field) -> Field:
    """Smooth noise in 0..1 at any coordinates, in lattice steps; it repeats after 64 of them."""
    lattice = rng.random((64, 64))
    (v, down), (u, right) = _lattice(across), _lattice(along)
    v, u, below, beside = v % 64, u % 64, (v + 1) % 64, (u + 1) % 64
    top = lattice[v, u] + (lattice[v, beside] - lattice[v, u]) * right
    bottom = lattice[below, u] + (lattice[below, beside] - lattice[below, u]) * right
    result: Field = top + (bottom - top) * down
    return result


def _lattice(position: Field) -> tuple[npt.NDArray[np.int64], Field]:
    """The lattice point before each position, and the smoothed way to the next one."""
    whole = np.floor(position)
    rest = position - whole
    return whole.astype(np.int64), rest * rest * (3 - 2 * rest)


# ---------------------------------------------------------------------------------------------------------- tissue


def stroma(canvas: Canvas, rng: Rng, grain: Vector, density: float, loose: float) -> None:
    """Fill the canvas with collagen: wavy eosinophilic fibres along `grain`, with pale gaps where it is loose (0..1)."""
    y, x = canvas.from_point(Vector(0, 0))
    along = y * grain.y + x * grain.x
    across = x * grain.y - y * grain.x + 9 * canvas.noise(rng, 22) + 3 * canvas.noise(rng, 6)
    coarse = strands(rng, along / 16, across / 2.2)
    fine = strands(rng, along / 6, across / 0.75)
    patches = canvas.noise(rng, 11)
    slit = 1 - np.abs(2 * strands(rng, along / 12, across / 2.8) - 1) * 9  # thin, where the noise crosses its middle
    gap = strands(rng, along / 14, across / 3) + 0.5 * patches - 1.25 + 0.5 * loose
    pale = np.clip(np.maximum(gap * 5, slit * loose), 0, 1)
    canvas.eosin[:] = density * (0.2 + 0.6 * coarse + 0.6 * fine + 0.2 * patches) * (1 - 0.85 * pale)
    canvas.haematoxylin[:] = density * (0.04 + 0.15 * fine * coarse + 0.1 * patches) * (1 - 0.8 * pale)


def cytoplasm(canvas: Canvas, rng: Rng, cover: Field, haematoxylin: float, eosin: float) -> None:
    """Lay granular cytoplasm over the canvas where `cover` is 1."""
    grain, patches, cells = canvas.noise(rng, 0.6), canvas.noise(rng, 4), canvas.noise(rng, 9)
    foam = 1 - 0.5 * np.clip((cells - 0.62) * 6, 0, 1)
    texture = (0.4 + 0.7 * grain + 0.5 * patches) * foam
    canvas.blend(cover, haematoxylin * texture, eosin * texture)


def hole(canvas: Canvas, cover: Field) -> None:
    """Leave bare glass where `cover` is 1 and no nucleus lies: a lumen, a fat cell, a cleft."""
    cover = cover * (canvas.instances == 0)
    canvas.blend(cover, 0.005, 0.012)
    canvas.bare |= cover > 0.5


def blob(canvas: Canvas, rng: Rng, centre: Vector, radius: float, wobble: float, edge: float = 0.8) -> Field:
    """A rounded region: 1 inside, falling to 0 over `edge` µm at an uneven outline."""
    y, x = canvas.from_point(centre)
    distance = np.sqrt(y * y + x * x) + wobble * radius * (canvas.noise(rng, max(radius, 2.0)) - 0.5)
    return np.clip((radius - distance) / edge, 0, 1)


# ---------------------------------------------------------------------------------------------------------- nuclei


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
    y, x = (offset[part] for offset, part in zip(canvas.from_point(centre), ((window[0],), (slice(None), window[1]))))
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
    clumps = 1.3 * noise(rng, body.shape, 1.3 / pixel) + 0.7 * noise(rng, body.shape, 0.5 / pixel) - 1
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


# ---------------------------------------------------------------------------------------------------- stain, camera


@dataclass(frozen=True)
class Stain:
    """The dyes of one laboratory on one day: optical density in red, green and blue of a unit of each."""

    haematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]

    @classmethod
    def random(cls, rng: Rng) -> "Stain":
        """A stain between weak and strong, and between bluish and reddish, as slides of many laboratories show."""
        violet, orange = float(rng.random()), float(rng.random())
        h, e = between(rng, (0.75, 1.4)), between(rng, (0.6, 1.35))
        return cls(
            (h * (0.78 - 0.2 * violet), h * (0.76 + 0.08 * violet), h * (0.3 + 0.12 * violet)),
            (e * (0.1 + 0.08 * orange), e * (0.82 - 0.04 * orange), e * (0.36 + 0.24 * orange)),
        )


def photograph(canvas: Canvas, rng: Rng, stain: Stain, blur: float) -> npt.NDArray[np.uint8]:
    """The canvas through a microscope, (H, W, 3) uint8; `blur` is about the radius in px that focus leaves."""
    white = between(rng, (236, 250))
    channels = []
    for h, e in zip(stain.haematoxylin, stain.eosin, strict=True):
        density = np.minimum(canvas.haematoxylin * h + canvas.eosin * e, 3.99)
        channels.append(TRANSMITTANCE[(density * STEPS).astype(np.int64)] * white)
    light = np.stack(channels, axis=-1)
    for _ in range(int(2 * blur * blur)):  # each pass adds half a px² of variance
        light = _soften(_soften(light).swapaxes(0, 1)).swapaxes(0, 1)
    light = light + 5 * (rng.random(light.shape) + rng.random(light.shape) - 1)
    return np.clip(np.floor(light + 0.5), 0, 255).astype(np.uint8)


def _soften(light: Field) -> Field:
    """Average each row with its neighbours by 1, 2, 1; the rows at the border stand in for those outside."""
    padded = np.concatenate([light[:1], light, light[-1:]])
    result: Field = (padded[:-2] + 2 * light + padded[2:]) / 4
    return result
