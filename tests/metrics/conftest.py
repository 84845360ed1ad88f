"""Real and drawn instance maps that several tests of the metrics share."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

Map = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Pair:
    """An image's true and predicted instances and their classes."""

    truth: Map
    truth_classes: dict[int, int]
    prediction: Map
    prediction_classes: dict[int, int]


def spoil(truth: Map, classes: dict[int, int], seed: int) -> tuple[Map, dict[int, int]]:
    """A prediction to expect of a middling model: shifted, some nuclei lost, merged, cut, invented or misnamed."""
    generator = np.random.default_rng(seed)
    shift = generator.integers(-2, 3, 2)
    prediction = np.roll(truth, shift, (0, 1))
    ids = np.unique(prediction[prediction > 0])
    result = np.zeros_like(prediction)
    named: dict[int, int] = {}
    for number in ids:
        mask = prediction == number
        fate = generator.random()
        if fate < 0.1:
            continue  # lost
        label = int(number) * 7  # ids need not be contiguous
        if fate < 0.2 and named:
            label = next(reversed(named))  # merged with the one before
        result[mask] = label
        named[label] = int(generator.integers(1, 6)) if fate > 0.85 else classes[int(number)]
        if 0.2 < fate < 0.3:
            mask[: int(np.mean(np.nonzero(mask)[0]))] = False
            result[mask] = label + 1  # cut in two
            named[label + 1] = named[label]
    for row, column in generator.integers(0, min(truth.shape) - 4, (3, 2)):
        label = 1_000_000 + int(row) * 2000 + int(column)
        result[row : row + 4, column : column + 4] = label  # invented
        named[label] = 1
    return result, named


def pair(truth: Map, classes: dict[int, int], seed: int) -> Pair:
    """A truth with a spoilt copy of it."""
    prediction, named = spoil(truth, classes, seed)
    return Pair(truth, classes, prediction, named)


@pytest.fixture
def drawn_pairs() -> list[Pair]:
    """Discs at random places in three images of different sizes."""
    pairs = []
    for seed, side in enumerate((40, 64, 96)):
        generator = np.random.default_rng(seed)
        rows, columns = np.indices((side, side))
        truth = np.zeros((side, side), np.int32)
        for number in range(1, side // 4):
            centre, radius = generator.uniform(0, side, 2), generator.uniform(2, 7)
            truth[(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2] = number
        classes = {int(number): int(generator.integers(1, 6)) for number in np.unique(truth[truth > 0])}
        pairs.append(pair(truth, classes, seed))
    return pairs


@pytest.fixture
def real_pairs(real_data: Path) -> list[Pair]:
    """PanNuke tiles with their classes, and TNBC images whose nuclei are the components of the mask."""
    from PIL import Image
    from scipy.ndimage import label

    pairs = []
    masks = np.load(real_data / "pannuke" / "Fold 3" / "masks" / "fold3" / "masks.npy", mmap_mode="r")
    for index in range(0, len(masks), 3):
        channels = np.asarray(masks[index, ..., :5]).astype(np.int32)
        truth = channels.max(axis=-1)
        code = channels.argmax(axis=-1) + 1
        classes = {int(number): int(code[truth == number][0]) for number in np.unique(truth[truth > 0])}
        pairs.append(pair(truth, classes, index))
    for name in ("01_1", "07_2"):
        mask = np.asarray(Image.open(real_data / "tnbc" / f"GT_{name[:2]}" / f"{name}.png").convert("L")) > 0
        truth = label(mask[:256, :256])[0].astype(np.int32)
        pairs.append(pair(truth, dict.fromkeys(range(1, int(truth.max()) + 1), 1), 50))
    return pairs
