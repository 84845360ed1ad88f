"""Rebuild the examples of a plan: read the tile, apply the row's transform, resize to the study's size.

Where a study has a target its class map is made here: 1 where that lesion is, 0 elsewhere.
"""

from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image as PillowImage

from pipeline.base.study import Study
from pipeline.tiles.store import IGNORE, ClassMap, Image, InstanceMap, Shard
from pipeline.tiles.transforms import transform

Code = TypeVar("Code", np.uint8, np.int32)


class Examples:
    """The examples of a plan's rows, in order; without torch, so that evaluation can read the truth too.

    As a data set for a torch `DataLoader`, item `i` is (image (H, W, 3) uint8, class map (H, W) uint8);
    their shorter side has `tile_size` pixels, the longer one as many as keep the tile's shape.

    Args:
        plan: rows as in pipeline.tiles.plan.
        tile_size: px of the shorter side.
        root: of the tile store.
        ignore: class codes that the study does not count; they become 255.
        target: the lesion type that the class map tells from all else; None: the store's own classes.
        greyscale: images show brightness alone, the same in all three channels.
    """

    def __init__(
        self,
        plan: pd.DataFrame,
        tile_size: int,
        root: Path = Path("data/tiles"),
        ignore: tuple[int, ...] = (),
        target: str | None = None,
        greyscale: bool = False,
    ) -> None:
        self.plan = plan.reset_index(drop=True)
        self.tile_size = tile_size
        self._root = root
        self._ignore = ignore
        self._target = target
        self._greyscale = greyscale

    @classmethod
    def of(cls, plan: pd.DataFrame, study: Study) -> Self:
        """The examples as a study sees them."""
        return cls(plan, study.tile_size, ignore=study.ignored, target=study.target, greyscale=study.greyscale)

    @cached_property
    def _rows(self) -> list[tuple[Shard, int, str]]:
        named = zip(self.plan["dataset"], self.plan["shard"], strict=True)
        paths = [self._root / str(dataset) / f"{shard}.h5" for dataset, shard in named]
        opened = {path: Shard(path) for path in set(paths)}
        columns = zip(paths, self.plan["index"], self.plan["transform"], strict=True)
        return [(opened[path], int(index), recipe) for path, index, recipe in columns]

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, position: int) -> tuple[Image, ClassMap]:
        return self.image(position), self.class_map(position)

    def native(self, position: int) -> tuple[Image, ClassMap]:
        """Image and class map at the tile's native size."""
        return self._image(position), self._class_map(position)

    def image(self, position: int) -> Image:
        """RGB image, (H, W, 3) uint8, resized by area averaging."""
        return resize_image(self._image(position), self.tile_size)

    def class_map(self, position: int) -> ClassMap:
        """Class map, (H, W) uint8, resized to the nearest pixel."""
        return resize_map(self._class_map(position), self.tile_size)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the examples, px: those of the first one."""
        height, width = self.class_map(0).shape
        return height, width

    def instances(self, position: int) -> tuple[InstanceMap, dict[int, int]]:
        """Instance map at the size of `image`, (H, W) int32, and the class code of each instance id of the tile.

        An instance that is lost in the transform or the resizing has a code and no pixel.
        """
        instance_map, _, classes = self.nuclei(position)
        return resize_map(instance_map, self.tile_size), classes

    def instance_map(self, position: int) -> InstanceMap:
        """Instance map at the tile's native size, (H, W) int32."""
        shard, index, recipe = self._rows[position]
        return transform(shard.instance_map(index), recipe)

    def nuclei(self, position: int) -> tuple[InstanceMap, ClassMap, dict[int, int]]:
        """Instance map and class map at native size, and the class code of each instance id."""
        shard, index, _ = self._rows[position]
        classes = self._classes.get((shard.path, index), {})
        return self.instance_map(position), self._class_map(position), classes

    def _image(self, position: int) -> Image:
        shard, index, recipe = self._rows[position]
        image = transform(shard.image(index), recipe)
        return np.asarray(PillowImage.fromarray(image).convert("L").convert("RGB")) if self._greyscale else image

    def _class_map(self, position: int) -> ClassMap:
        shard, index, recipe = self._rows[position]
        class_map = shard.class_map(index)
        if self._ignore:
            class_map[np.isin(class_map, self._ignore)] = IGNORE
        if self._target is not None:
            class_map = np.where(class_map == IGNORE, class_map, shard.lesion(index, self._target)).astype(np.uint8)
        return transform(class_map, recipe)

    @cached_property
    def _classes(self) -> dict[tuple[Path, int], dict[int, int]]:
        """Class code of each instance id of every tile that holds a nucleus."""
        found: dict[tuple[Path, int], dict[int, int]] = {}
        for path, shard in {row[0].path: row[0] for row in self._rows}.items():
            for tile, number, code in shard.nuclei().itertuples(index=False):
                found.setdefault((path, tile), {})[number] = code
        return found


def resize_image(image: Image, size: int) -> Image:
    """Resize an RGB image to `size` px on its shorter side: box filter, which averages areas when shrinking."""
    shape = shape_at(image.shape, size)
    if image.shape[:2] == shape:
        return image
    resample = PillowImage.Resampling.BOX if size < min(image.shape[:2]) else PillowImage.Resampling.BILINEAR
    return np.asarray(PillowImage.fromarray(image).resize(shape[::-1], resample))


def resize_map(values: npt.NDArray[Code], size: int) -> npt.NDArray[Code]:
    """Resize a class or instance map to `size` px on its shorter side by the nearest pixel, which invents no code."""
    shape = shape_at(values.shape, size)
    if values.shape == shape:
        return values
    resized = PillowImage.fromarray(values).resize(shape[::-1], PillowImage.Resampling.NEAREST)
    return np.asarray(resized, values.dtype)


def shape_at(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Height and width of a picture whose shorter side is brought to `size` px."""
    height, width = shape[:2]
    shorter = min(height, width)
    return round(height * size / shorter), round(width * size / shorter)
