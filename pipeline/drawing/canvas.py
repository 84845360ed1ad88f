"""The canvas, which holds the amounts of the dyes and the nuclei, and the noise that everything is drawn with."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]  # (H, W)
Mask = npt.NDArray[np.bool_]  # (H, W)
Rng = np.random.Generator


class Vector(NamedTuple):
    """A position in µm from the top left corner, or a direction of length 1."""

    y: float
    x: float


@dataclass
class Canvas:
    """A piece of tissue: the optical density of each dye, and its nuclei.

    Lengths and positions are in µm, so that the same brush draws at any pixel size.
    """

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
        y = np.arange(height, dtype=np.float64)[:, None] * self.microns_per_pixel - point.y
        x = np.arange(width, dtype=np.float64)[None, :] * self.microns_per_pixel - point.x
        return y, x

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
