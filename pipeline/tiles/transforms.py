"""The transforms that a plan's rows name, as pure functions on arrays.

A transform is a JSON object: `{}` leaves a tile as it is, `{"rotate": 90}` turns it counter-clockwise,
`{"scale": 1.25}` enlarges it about its centre, `{"flip": "horizontal"}` mirrors left and right, `{"hue": 0.02}` turns
the colours of an image by a share of the circle, `{"saturation": 1.2}` multiplies their saturation. Where several keys
stand they work in this order; maps have no colours.

A turn by other than multiples of 90 degrees, and scaling, keep the tile's size: what leaves it is lost, and where
nothing fills it is white in an image, ignored (255) in a class map and 0 in an instance map.
"""

import json
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from pipeline.tiles.store import IGNORE

IDENTITY = "{}"
NAMED = {
    "rotate45": '{"rotate": 45}',
    "rotate90": '{"rotate": 90}',
    "rotate180": '{"rotate": 180}',
    "rotate270": '{"rotate": 270}',
    "flip_horizontal": '{"flip": "horizontal"}',
    "flip_vertical": '{"flip": "vertical"}',
    "enlarge": '{"scale": 1.25}',
    "shrink": '{"scale": 0.8}',
    "redder": '{"hue": 0.02, "saturation": 1.2}',
    "bluer": '{"hue": -0.02, "saturation": 0.8}',
}

Pixel = TypeVar("Pixel", bound=np.generic)


def transform(array: npt.NDArray[Pixel], recipe: str) -> npt.NDArray[Pixel]:
    """Apply a recipe to an image (H, W, 3) or a map (H, W); the dtype stays.

    Raises:
        ValueError: the recipe has a key or value that is not known.
    """
    steps = json.loads(recipe)
    if set(steps) - {"rotate", "scale", "flip", "hue", "saturation"}:
        raise ValueError(f"unknown transform {recipe}")
    angle = steps.get("rotate", 0)
    if angle % 45:
        raise ValueError(f"rotation by {angle} degrees is not a multiple of 45")
    result = _rotate(array, angle) if angle % 90 else np.rot90(array, angle // 90, axes=(0, 1))
    if "scale" in steps:
        result = _scale(result, steps["scale"])
    match steps.get("flip"):
        case None:
            pass
        case "horizontal":
            result = result[:, ::-1]
        case "vertical":
            result = result[::-1]
        case other:
            raise ValueError(f"unknown flip {other!r}")
    if array.ndim == 3 and ("hue" in steps or "saturation" in steps):
        result = _colour(result, steps.get("hue", 0), steps.get("saturation", 1))
    return np.ascontiguousarray(result)


def _rotate(array: npt.NDArray[Pixel], angle: int) -> npt.NDArray[Pixel]:
    """Turn an image (uint8, bilinear) or a map (uint8 or int32, nearest pixel) about its centre."""
    turned = PillowImage.fromarray(array).rotate(angle, _resample(array), fillcolor=_fill(array))
    return np.asarray(turned, array.dtype)


def _scale(array: npt.NDArray[Pixel], factor: float) -> npt.NDArray[Pixel]:
    """Enlarge or shrink likewise."""
    height, width = array.shape[:2]
    inverse = (1 / factor, 0, width / 2 * (1 - 1 / factor), 0, 1 / factor, height / 2 * (1 - 1 / factor))
    picture = PillowImage.fromarray(array)
    affine = PillowImage.Transform.AFFINE
    return np.asarray(
        picture.transform(picture.size, affine, inverse, _resample(array), fillcolor=_fill(array)), array.dtype
    )


def _resample(array: npt.NDArray[Any]) -> PillowImage.Resampling:
    return PillowImage.Resampling.BILINEAR if array.ndim == 3 else PillowImage.Resampling.NEAREST


def _fill(array: npt.NDArray[Any]) -> Any:
    """White, ignored or 0."""
    value = IGNORE if array.dtype == np.uint8 else 0
    return (value,) * 3 if array.ndim == 3 else value


def _colour(image: npt.NDArray[Any], hue: float, saturation: float) -> npt.NDArray[Any]:
    """Turn an image's hues by a share of the circle and multiply its saturation, both in HSV."""
    size = image.shape[1::-1]
    values = np.array(PillowImage.fromarray(image).convert("HSV"), np.float32)
    values[..., 0] = (values[..., 0] + round(256 * hue)) % 256
    values[..., 1] = np.clip(np.rint(values[..., 1] * saturation), 0, 255)
    return np.asarray(PillowImage.frombytes("HSV", size, values.astype(np.uint8).tobytes()).convert("RGB"))
