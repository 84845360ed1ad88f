"""Rebuild the examples of a plan: read the tile, apply the row's transform, resize to the study's size."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image as PillowImage

from pipeline.tiles import ClassMap, Image, InstanceMap, Shard
from pipeline.transforms import transform


class Examples:
    """The examples of a plan's rows, in order; without torch, so that evaluation can read the truth too.

    As a data set for a torch `DataLoader`, item `i` is (image (H, W, 3) uint8, class map (H, W) uint8,
    weight float32) with H = W = `tile_size` pixels.
    """

    def __init__(self, plan: pd.DataFrame, tile_size: int, root: Path = Path("data/tiles")) -> None:
        self.plan = plan.reset_index(drop=True)
        self.tile_size = tile_size
        self._root = root

    @cached_property
    def _rows(self) -> list[tuple[Shard, int, str, float]]:
        named = zip(self.plan["dataset"], self.plan["shard"], strict=True)
        paths = [self._root / str(dataset) / f"{shard}.h5" for dataset, shard in named]
        opened = {path: Shard(path) for path in set(paths)}
        columns = zip(paths, self.plan["index"], self.plan["transform"], self.plan["weight"], strict=True)
        return [(opened[path], int(index), recipe, float(weight)) for path, index, recipe, weight in columns]

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, position: int) -> tuple[Image, ClassMap, np.float32]:
        return self.image(position), self.class_map(position), np.float32(self._rows[position][3])

    def native(self, position: int) -> tuple[Image, ClassMap, np.float32]:
        """Image, class map and weight at the tile's native size."""
        shard, index, recipe, weight = self._rows[position]
        return transform(shard.image(index), recipe), transform(shard.class_map(index), recipe), np.float32(weight)

    def image(self, position: int) -> Image:
        """RGB image, (tile_size, tile_size, 3) uint8, resized by area averaging."""
        shard, index, recipe, _ = self._rows[position]
        return resize_image(transform(shard.image(index), recipe), self.tile_size)

    def class_map(self, position: int) -> ClassMap:
        """Class map, (tile_size, tile_size) uint8, resized to the nearest pixel."""
        shard, index, recipe, _ = self._rows[position]
        return resize_map(transform(shard.class_map(index), recipe), self.tile_size)

    def instance_map(self, position: int) -> InstanceMap:
        """Instance map at the tile's native size, (H, W) int32."""
        shard, index, recipe, _ = self._rows[position]
        return transform(shard.instance_map(index), recipe)

    def nuclei(self, position: int) -> tuple[InstanceMap, ClassMap, dict[int, int]]:
        """Instance map and class map at native size, and the class code of each instance id."""
        shard, index, recipe, _ = self._rows[position]
        classes = self._classes.get((shard.path, index), {})
        return self.instance_map(position), transform(shard.class_map(index), recipe), classes

    @cached_property
    def _classes(self) -> dict[tuple[Path, int], dict[int, int]]:
        """Class code of each instance id of every tile that holds a nucleus."""
        found: dict[tuple[Path, int], dict[int, int]] = {}
        for path, shard in {row[0].path: row[0] for row in self._rows}.items():
            for tile, number, code in shard.nuclei().itertuples(index=False):
                found.setdefault((path, tile), {})[number] = code
        return found


def resize_image(image: Image, size: int) -> Image:
    """Resize an RGB image to size x size: box filter, which averages areas when shrinking."""
    if image.shape[:2] == (size, size):
        return image
    resample = PillowImage.Resampling.BOX if size < image.shape[0] else PillowImage.Resampling.BILINEAR
    return np.asarray(PillowImage.fromarray(image).resize((size, size), resample))


def resize_map(class_map: ClassMap, size: int) -> ClassMap:
    """Resize a class map to size x size by the nearest pixel, so that no class is invented."""
    if class_map.shape == (size, size):
        return class_map
    return np.asarray(PillowImage.fromarray(class_map).resize((size, size), PillowImage.Resampling.NEAREST))
