"""The transforms that a plan's rows name, as pure functions on arrays.

A transform is a JSON object: `{}` leaves a tile as it is, `{"rotate": 90}` turns it counter-clockwise,
`{"flip": "horizontal"}` mirrors left and right. With both keys the turn comes first.

A turn by other than multiples of 90 degrees keeps the tile's size: what leaves it is lost, and the corners that nothing
fills are white in an image, ignored (255) in a class map and 0 in an instance map.
"""

import json
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from pipeline.tiles import IGNORE

IDENTITY = "{}"
NAMED = {
    "rotate45": '{"rotate": 45}',
    "rotate90": '{"rotate": 90}',
    "rotate180": '{"rotate": 180}',
    "rotate270": '{"rotate": 270}',
    "flip_horizontal": '{"flip": "horizontal"}',
    "flip_vertical": '{"flip": "vertical"}',
}

Pixel = TypeVar("Pixel", bound=np.generic)


def transform(array: npt.NDArray[Pixel], recipe: str) -> npt.NDArray[Pixel]:
    """Apply a recipe to an image (H, W, 3) or a map (H, W); the dtype stays.

    Raises:
        ValueError: the recipe has a key or value that is not known.
    """
    steps = json.loads(recipe)
    if set(steps) - {"rotate", "flip"}:
        raise ValueError(f"unknown transform {recipe}")
    angle = steps.get("rotate", 0)
    if angle % 45:
        raise ValueError(f"rotation by {angle} degrees is not a multiple of 45")
    result = _rotate(array, angle) if angle % 90 else np.rot90(array, angle // 90, axes=(0, 1))
    match steps.get("flip"):
        case None:
            pass
        case "horizontal":
            result = result[:, ::-1]
        case "vertical":
            result = result[::-1]
        case other:
            raise ValueError(f"unknown flip {other!r}")
    return np.ascontiguousarray(result)


def _rotate(array: npt.NDArray[Pixel], angle: int) -> npt.NDArray[Pixel]:
    """Turn an image (uint8, bilinear) or a map (uint8 or int32, nearest pixel) about its centre."""
    fill = IGNORE if array.dtype == np.uint8 else 0
    resample = PillowImage.Resampling.BILINEAR if array.ndim == 3 else PillowImage.Resampling.NEAREST
    turned = PillowImage.fromarray(array).rotate(angle, resample, fillcolor=(fill,) * 3 if array.ndim == 3 else fill)
    return np.asarray(turned, array.dtype)
