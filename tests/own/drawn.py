"""Images and masks as people have them, drawn small: nuclei or areas in a few colours, of several patients."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

COLOURS = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255))  # of class codes, in coloured masks
Array = npt.NDArray[np.int64]


def draw(folder: Path, patients: int = 4, images: int = 2, size: int = 64, classes: int = 2) -> dict[str, "Truth"]:
    """Images `p1_0.png` ... in a folder, and what is in each, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for patient in range(1, patients + 1):
        for number in range(images):
            rng = np.random.default_rng([patient, number])
            picture, truth = _scene(rng, size, classes)
            picture.save(folder / f"p{patient}_{number}.png")
            found[f"p{patient}_{number}"] = truth
    return found


class Truth:
    """Class codes and numbers of discs, (H, W) each."""

    def __init__(self, codes: Array, numbers: Array) -> None:
        self.codes, self.numbers = codes, numbers


def _scene(rng: np.random.Generator, size: int, classes: int) -> tuple[Image.Image, Truth]:
    noise = rng.integers(0, 25, (size, size, 3)) + np.array([215, 180, 205])
    picture = Image.fromarray(noise.astype(np.uint8))
    codes, numbers = (Image.new("I", (size, size), 0) for _ in range(2))
    cells = size // 16
    for number, place in enumerate(rng.permutation(cells**2)[: cells**2 // 2], start=1):
        row, column = divmod(int(place), cells)  # apart, so that a piece is a disc
        radius = int(rng.integers(4, 7))
        x, y = 8 + 16 * column, 8 + 16 * row
        code = 1 + number % (classes - 1)
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(picture).ellipse(box, fill=(60 + 40 * code, 40, 140 - 30 * code))
        ImageDraw.Draw(codes).ellipse(box, fill=code)
        ImageDraw.Draw(numbers).ellipse(box, fill=number)
    return picture, Truth(np.asarray(codes).astype(np.int64), np.asarray(numbers).astype(np.int64))


def save(folder: Path, truths: dict[str, Truth], array: Callable[[Truth], Image.Image], name: str = "{}.png") -> None:
    """A mask for each image, as `array` makes it of what is in the image."""
    folder.mkdir(parents=True, exist_ok=True)
    for image, truth in truths.items():
        array(truth).save(folder / name.format(image))


def class_rows(truths: dict[str, Truth], names: Sequence[str]) -> list[str]:
    """Lines `image,number,class` of all discs, numbered as `numbered` does; `names` are those of codes 1, 2, ..."""
    return [
        f"{image},{number + 300},{names[truth.codes[truth.numbers == number].max() - 1]}"
        for image, truth in truths.items()
        for number in range(1, truth.numbers.max() + 1)
    ]


def grey(truth: Truth, factor: int = 1) -> Image.Image:
    """Class codes as 8 bits of grey."""
    return Image.fromarray((truth.codes * factor).astype(np.uint8))


def indexed(truth: Truth) -> Image.Image:
    """Class codes as indices of a palette whose colours are for the eye."""
    picture = Image.fromarray(truth.codes.astype(np.uint8), "P")
    picture.putpalette([value for colour in COLOURS for value in colour])
    return picture


def coloured(truth: Truth) -> Image.Image:
    """A colour for each class."""
    return Image.fromarray(np.array(COLOURS, np.uint8)[truth.codes])


def numbered(truth: Truth) -> Image.Image:
    """A number for each disc, 16 bits, far above what classes could be."""
    return Image.fromarray(np.where(truth.numbers > 0, truth.numbers + 300, 0).astype(np.uint16))
