"""The class map and the probabilities of a whole slide, in one small file a block: work goes on after a break."""

import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.applying.windows import Window, squares
from pipeline.base.files import replacing
from pipeline.tiles.store import IGNORE

Map = npt.NDArray[np.uint8]  # (H, W)
Position = tuple[int, int]
Look = Callable[[Window], tuple[Map, Map]]  # class map and probabilities of a window
READ = 4  # blocks that are kept in memory once they were read


class Maps:
    """Maps of `height` x `width` px in blocks of `side` px; a block without a file is IGNORE all over."""

    def __init__(self, folder: Path, height: int, width: int, side: int) -> None:
        self.folder, self.whole = folder, Window(0, 0, height, width)
        self.side = side
        self.blocks = dict(squares(height, width, side))
        self._block = lru_cache(READ)(self._load)

    def path(self, position: Position) -> Path:
        return self.folder / f"{position[0]}-{position[1]}.maps"

    def write(self, position: Position, classes: Map, probability: Map) -> None:
        """Keep a block's class map and probabilities, whole or not at all."""
        with replacing(self.path(position)) as temporary:
            temporary.write_bytes(zlib.compress(classes.tobytes() + probability.tobytes(), 1))

    def read(self, window: Window) -> tuple[Map, Map]:
        """Class map and probabilities of a window that lies in the slide."""
        classes = np.full((window.height, window.width), IGNORE, np.uint8)
        probability = np.zeros_like(classes)
        for row in range(window.top // self.side, -(-window.bottom // self.side)):
            for column in range(window.left // self.side, -(-window.right // self.side)):
                found, block = self._block((row, column)), self.blocks[row, column]
                if found is None:
                    continue
                part = window.part_of(block)
                here = part.rows_from(window.top), part.columns_from(window.left)
                there = part.rows_from(block.top), part.columns_from(block.left)
                classes[here], probability[here] = found[0][there], found[1][there]
        return classes, probability

    def _load(self, position: Position) -> npt.NDArray[np.uint8] | None:
        if not self.path(position).exists():
            return None
        block = self.blocks[position]
        content = zlib.decompress(self.path(position).read_bytes())
        return np.frombuffer(content, np.uint8).reshape(2, block.height, block.width)
