"""From amounts of dye to an RGB image: the stain of a laboratory, the law of Beer and Lambert, a camera."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.drawing.canvas import Canvas, Field, Rng, between

STEPS = 1024  # of the table below, in a unit of optical density
TRANSMITTANCE = np.array([round(65536 * math.exp(-step / STEPS)) for step in range(4 * STEPS)]) / 65536


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
            (h * (0.76 - 0.16 * violet), h * (0.78 + 0.06 * violet), h * (0.4 + 0.16 * violet)),
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


def photograph_patient(
    canvas: Canvas, rng: Rng, patient: Rng, blur: tuple[float, float] = (0.3, 1.0), unevenness: float = 1.0
) -> npt.NDArray[np.uint8]:
    """The canvas, (H, W, 3) uint8, in the stain and about the focus that a patient's own stream of numbers gives.

    Args:
        patient: a new generator with the patient's seed.
        blur: limits of the patient's focus, px.
        unevenness: px by which the focus of one image may be worse than that, at most.
    """
    stain, focus = Stain.random(patient), between(patient, blur)
    return photograph(canvas, rng, stain, focus + between(rng, (0, unevenness)))


def _soften(light: Field) -> Field:
    """Average each row with its neighbours by 1, 2, 1; the rows at the border stand in for those outside."""
    padded = np.concatenate([light[:1], light, light[-1:]])
    result: Field = (padded[:-2] + 2 * light + padded[2:]) / 4
    return result
