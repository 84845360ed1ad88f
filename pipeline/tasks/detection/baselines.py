"""Classes of images without a detector: what one must beat."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.tiles.store import Image

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]  # (N,), class codes from 0


def constant(training: list[Image], labels: Labels, images: list[Image], classes: int) -> FloatArray:
    """The commonest class of the training images for every image, as votes (N, classes)."""
    return np.tile(np.eye(classes)[np.bincount(labels).argmax()], (len(images), 1))


def colour(training: list[Image], labels: Labels, images: list[Image], classes: int) -> FloatArray:
    """The class whose training images are nearest in colour, as votes (N, classes) that add up to 1.

    An image is its mean and standard deviation of red, green and blue, each divided by its spread over the training
    images; a vote falls with the square of the distance to the mean of a class, as a normal density does.
    """
    known, asked = (np.array([_colours(image) for image in some]) for some in (training, images))
    spread = known.std(axis=0) + 1e-9
    means = np.array([known[labels == code].mean(axis=0) for code in range(classes)])
    squares = (((asked[:, None] - means) / spread) ** 2).sum(axis=2)
    density = np.exp((squares.min(axis=1, keepdims=True) - squares) / 2)
    return np.asarray(density / density.sum(axis=1, keepdims=True), np.float64)


def _colours(image: Image) -> FloatArray:
    pixels = image.reshape(-1, 3).astype(np.float64)
    return np.concatenate([pixels.mean(axis=0), pixels.std(axis=0)])


BASELINES: dict[str, Callable[[list[Image], Labels, list[Image], int], FloatArray]] = {
    "constant": constant,
    "colour": colour,
}
