"""Read it: a patient a part."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pipeline.datasets.seventh.card import CARD

if TYPE_CHECKING:
    from pipeline.tiles.store import Tile


def find(folder: Path) -> list["Patient"]:
    """The patients that lie in a folder, in order."""
    return [Patient(path.name.partition("_")[0], folder) for path in sorted(folder.glob("*_images.npy"))]


@dataclass(frozen=True)
class Patient:
    """The images of one patient; a pipeline.datasets.Part."""

    name: str
    folder: Path
    tile_size = 64
    resolution = (CARD.microns_per_pixel, CARD.magnification)

    @property
    def files(self) -> list[Path]:
        return [self.folder / f"{self.name}_{what}.npy" for what in ("images", "nuclei")]

    @property
    def count(self) -> int:
        return len(np.load(self.files[0], mmap_mode="r"))

    def tiles(self) -> Iterator["Tile"]:
        """The images in order, each with its nucleus."""
        from pipeline.tiles.store import Tile

        for position, (image, nuclei) in enumerate(zip(*map(np.load, self.files), strict=True)):
            yield Tile(image, (nuclei > 0).astype(np.uint8), nuclei, {1: 1}, position, self.name, self.name)
