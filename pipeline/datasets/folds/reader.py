"""Tiles of one's own in PanNuke's layout, with other tissues and classes: the folds that lie in a folder."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.base.params import Folds
from pipeline.datasets.pannuke.npy import Npy
from pipeline.datasets.pannuke.reader import Fold, find_arrays

FOLD = re.compile(r"fold[ _-]*(\d{1,3})", re.IGNORECASE)


@dataclass(frozen=True)
class OwnFolds:
    """A pipeline.datasets.Reader of folds."""

    settings: Folds

    def find(self, folder: Path) -> list[Fold]:
        """The folds of a folder, in the order of their names.

        Raises:
            Problem: there is none, one is incomplete or there twice, or others are there than params.yaml has.
        """
        found = find_arrays(folder, FOLD)
        if strange := sorted({*found} ^ {*self.settings.names}):
            raise Problem(
                f"{folder} holds {', '.join(found)}, and params.yaml has {', '.join(self.settings.names)}; add"
                f" {strange[0]} to the files or to `folds`, or remove it there."
            )
        return [self.fold(name, arrays) for name, arrays in found.items()]

    def fold(self, name: str, arrays: dict[str, Npy]) -> Fold:
        """A fold of these arrays."""
        background, *classes = self.settings.classes.values()
        pixel = self.settings.microns_per_pixel
        return Fold(name, **arrays, resolution=(pixel, 10 / pixel), channels=(*classes, background), tissues=None)


def reader(settings: Folds) -> OwnFolds:
    """The reader of a data set of this kind."""
    return OwnFolds(settings)
