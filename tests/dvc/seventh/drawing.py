"""Draw the sample: a square nucleus a tile, each tile of another colour."""

from pathlib import Path

import numpy as np
from pipeline.datasets.seventh.card import SIDES, Sample


def draw(folder: Path, seed: int, settings: Sample) -> None:
    """Write `<patient>_images.npy`, (N, 64, 64, 3) uint8, and `<patient>_nuclei.npy`, (N, 64, 64) int32."""
    for number, patient in enumerate(SIDES):
        images = np.random.default_rng([seed, number]).integers(0, 256, (settings.tiles, 64, 64, 3), np.uint8)
        nuclei = np.zeros(images.shape[:3], np.int32)
        nuclei[:, 20:40, 20:40] = 1
        np.save(folder / f"{patient}_images.npy", images)
        np.save(folder / f"{patient}_nuclei.npy", nuclei)
