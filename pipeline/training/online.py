"""What training changes anew in every epoch: crops, size, flips, turns, stain and colour (`augment.online`).

Unlike a plan's transforms these are drawn while training, from (seed, epoch, position) alone, so that no row names
them and a training that is resumed or reads its tiles in other processes sees the same pixels.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from pipeline.base.study_blocks import Online
from pipeline.tiles.examples import Examples
from pipeline.tiles.store import ClassMap, Image

Matrix = npt.NDArray[np.float32]
Item = tuple[Image, ClassMap] | tuple[Image, ClassMap, Matrix]

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # weights of red, green, blue in brightness (ITU-R BT.601)
PARTS = (9, 3, 9, 1, 1)  # of what `numbers` gives: the matrix and shift of stains, that of colours, their two factors


class Stain(NamedTuple):
    """How a tile's optical densities d = -log((value + 1) / 256) change: to d @ `mixing` + `shift`."""

    mixing: Matrix  # (3, 3)
    shift: Matrix  # (3,)


class Colour(NamedTuple):
    """How a tile's values v change: first to v @ `mixing`.T, then in contrast about their mean grey, and brightness."""

    mixing: Matrix  # (3, 3)
    brightness: np.float64  # numpy's own, which have it compute what follows in as many digits
    contrast: np.float64


class Jitter(NamedTuple):
    """What was drawn for the colours of a tile, one after the other; None where nothing is asked for."""

    stain: Stain | None
    colour: Colour | None


class OnlineExamples:
    """Examples of which every epoch shows `online.crops` random versions each; made for a torch `DataLoader`.

    Item `epoch * len(self) + position` is (image (S, S, 3) uint8, class map (S, S) uint8), S =
    `online.crop`; the epoch is in the number because workers are told nothing else. Where the colours are
    `left` to the learner, they are as they were, and a third value is what `numbers` gives of the change.
    """

    numbered = True  # items by epoch, see pipeline.training.loop.Shuffled

    def __init__(self, examples: Examples, online: Online, seed: int, left: bool = False) -> None:
        self.examples = examples
        self.online = online
        self.seed = seed
        self.left = left

    def for_gpu(self) -> "OnlineExamples":
        """The same versions, whose colours a GPU changes: for a core that is most of the work."""
        left = bool(self.online.stain or self.online.colour)
        return OnlineExamples(self.examples, self.online, self.seed, left)

    def __len__(self) -> int:
        return len(self.examples) * self.online.crops

    def __getitem__(self, number: int) -> Item:
        epoch, position = divmod(number, len(self))
        rng = np.random.default_rng([self.seed, epoch, position])
        image, class_map = self.examples.native(position // self.online.crops)
        image, class_map, jitter = vary(image, class_map, self.online, rng)
        if self.left:
            return np.ascontiguousarray(image), np.ascontiguousarray(class_map), numbers(jitter)
        return np.ascontiguousarray(recolour(image, jitter)), np.ascontiguousarray(class_map)


def vary(image: Image, class_map: ClassMap, online: Online, rng: np.random.Generator) -> tuple[Image, ClassMap, Jitter]:
    """A random version of an image (H, W, 3) and its class map (H, W), both cut to `online.crop` px a side.

    Its colours are as they were, and beside it is what `recolour` makes of them. The order of what is drawn never
    changes: other numbers would train other weights.
    """
    image, class_map = crop(image, class_map, online.crop, online.scale, rng)
    if online.flips and rng.random() < 0.5:
        image, class_map = image[:, ::-1], class_map[:, ::-1]
    if online.turns:
        turns = int(rng.integers(4))
        image, class_map = np.rot90(image, turns), np.rot90(class_map, turns)
    stain = draw_stain(online.stain, rng) if online.stain else None
    colour = draw_colour(online.colour, rng) if online.colour else None
    return image, class_map, Jitter(stain, colour)


def crop(
    image: Image, class_map: ClassMap, size: int, scale: float, rng: np.random.Generator
) -> tuple[Image, ClassMap]:
    """Cut a random square of `size` px times or divided by up to 1 + `scale`, and resize it to `size` px."""
    factor = float((1 + scale) ** rng.uniform(-1, 1))
    side = min(round(size * factor), *image.shape[:2])
    top, left = (int(rng.integers(length - side + 1)) for length in image.shape[:2])
    area = np.s_[top : top + side, left : left + side]
    if side == size:
        return image[area], class_map[area]
    resized = PillowImage.fromarray(image[area]).resize((size, size), PillowImage.Resampling.BILINEAR)
    codes = PillowImage.fromarray(class_map[area]).resize((size, size), PillowImage.Resampling.NEAREST)
    return np.asarray(resized), np.asarray(codes)


@cache
def stain_vectors() -> Matrix:
    """Optical densities (3, 3) float32 of haematoxylin, eosin and what remains (rows) in red, green and blue.

    Those of Ruifrok and Johnston (2001), each of length 1.
    """
    from skimage.color import rgb_from_hed

    vectors = rgb_from_hed.astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def draw_stain(strength: float, rng: np.random.Generator) -> Stain:
    """More or less of each stain, by light's absorption (Tellez et al. 2018).

    The amount of each stain is multiplied by 1 +- `strength`, and up to `strength` / 10 of it is added everywhere.
    """
    gain = rng.uniform(1 - strength, 1 + strength, 3).astype(np.float32)
    shift = rng.uniform(-strength / 10, strength / 10, 3).astype(np.float32)
    stains = stain_vectors()
    return Stain(np.linalg.inv(stains) @ (gain[:, None] * stains), shift @ stains)


def draw_colour(strength: float, rng: np.random.Generator) -> Colour:
    """Brightness, contrast and saturation times 1 +- `strength`, hue turned by up to `strength` / 4 of the circle."""
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    turn = 2 * np.pi * rng.uniform(-strength / 4, strength / 4)
    return Colour(_hue_and_saturation(float(turn), float(saturation)), brightness, contrast)


def numbers(jitter: Jitter) -> Matrix:
    """What was drawn for a tile's colours as (23,) float32, in `PARTS`; what is not asked for changes nothing."""
    stain = jitter.stain or Stain(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    colour = jitter.colour or Colour(np.eye(3, dtype=np.float32), np.float64(1), np.float64(1))
    return np.concatenate([np.ravel(part) for part in (*stain, *colour)]).astype(np.float32)


def recolour(image: Image, jitter: Jitter) -> Image:
    """An image (H, W, 3) with the colours that were drawn for it; pipeline.training.jitter does the same to a batch."""
    if jitter.stain is not None:
        image = jitter_stain(image, jitter.stain)
    if jitter.colour is not None:
        image = jitter_colour(image, jitter.colour)
    return image


def jitter_stain(image: Image, drawn: Stain) -> Image:
    """What `Stain` says, of an image (H, W, 3)."""
    density = -np.log((image.astype(np.float32) + 1) / 256)
    density = density @ drawn.mixing + drawn.shift
    return _to_bytes(256 * np.exp(-density) - 1)


def jitter_colour(image: Image, drawn: Colour) -> Image:
    """What `Colour` says, of an image (H, W, 3)."""
    values = image.astype(np.float32) @ drawn.mixing.T
    grey = float(values.mean(axis=(0, 1)) @ GREY)
    return _to_bytes(drawn.brightness * (grey + drawn.contrast * (values - grey)))


def _hue_and_saturation(turn: float, saturation: float) -> Matrix:
    """The matrix that turns the two colour axes of YIQ by `turn` and stretches them; brightness stays."""
    yiq = np.array([GREY, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    cosine, sine = saturation * np.cos(turn), saturation * np.sin(turn)
    turned = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    return np.asarray(np.linalg.inv(yiq) @ turned @ yiq, np.float32)


def _to_bytes(values: Any) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
