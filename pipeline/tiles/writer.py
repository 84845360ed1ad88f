"""What writes a shard of the tile store; `pipeline.tiles.store` says what is in it, and reads it."""

import json
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.base import hdf5
from pipeline.tiles.store import ARRAYS, FORMAT, TABLE_COLUMNS, TEXT_COLUMNS, ShardInfo, Tile


class ShardWriter:
    """Write a shard tile by tile, so that memory does not grow with the shard.

    The number of tiles and their size (px a side, or height and width) are fixed at the start, as contiguous arrays
    need; so is whether the tiles have `bits`.
    """

    def __init__(
        self, path: Path, count: int, tile_size: int | tuple[int, int], info: ShardInfo, bits: bool = False
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._side = (tile_size, tile_size) if isinstance(tile_size, int) else tile_size
        self._path, self._info, self._bits = path, info, bits
        self._file, self._count = self._create(path, count), count
        self._rows: list[tuple[Any, ...]] = []
        self._sums: dict[str, list[int]] = {name: [] for name in ARRAYS if name in self._file}
        self._nuclei: list[tuple[int, int, int]] = []

    def _create(self, path: Path, count: int) -> Any:
        file = hdf5.create(path)
        for name, (kind, *last) in ARRAYS.items():
            if name != "bits" or self._bits:
                file.create_dataset(name, (count, *self._side, *last), kind)
        for name, value in asdict(self._info).items():
            hdf5.write_attribute(file, name, json.dumps(value) if isinstance(value, tuple) else value)
        file.attrs["format"] = FORMAT
        return file

    def add(self, tile: Tile) -> None:
        """Append one tile."""
        index = len(self._rows)
        self._file.check()  # a full disk is told at once
        arrays = (tile.image, tile.class_map, tile.instance_map, tile.bits)
        for name, array in zip(ARRAYS, arrays, strict=True):
            self._write(name, index, array)
            if name in self._sums:
                self._sums[name].append(hdf5.crc(array if array is not None else np.zeros(self._side, "u1")))
        self._rows.append(tuple(getattr(tile, column) for column in TABLE_COLUMNS))
        self._nuclei.extend((index, number, code) for number, code in sorted(tile.nuclei.items()))

    def _write(self, name: str, index: int, array: npt.NDArray[Any] | None) -> None:
        if array is not None and array.any():  # what is not written is 0
            self._file[name][index] = array

    def cut(self) -> None:
        """Make it a shard of the tiles that it has, where they are fewer than was thought at the start.

        They are copied to a new file, since contiguous arrays cannot shrink.
        """
        if len(self._rows) == self._count:
            return
        long, short = self._file, self._path.with_name(f"{self._path.name}.short")
        self._count = len(self._rows)
        self._file = self._create(short, self._count)
        for index in range(self._count):
            for name in ARRAYS:
                self._write(name, index, long[name][index] if name in long else None)
        long.close()
        short.replace(self._path)

    def close(self) -> None:
        """Write the index and close the file."""
        if len(self._rows) != self._count:
            raise ValueError(f"the shard was made for {self._count} tiles and got {len(self._rows)}")
        for position, column in enumerate(TABLE_COLUMNS):
            values = [row[position] for row in self._rows]
            self._write_column(f"table/{column}", np.array(values, object if column in TEXT_COLUMNS else "i8"))
        nuclei = np.array(self._nuclei, "i4").reshape(-1, 3)
        for position, column in enumerate(("tile", "id", "class")):
            self._write_column(f"nuclei/{column}", nuclei[:, position])
        for name, sums in self._sums.items():
            hdf5.write_sums(self._file, name, sums)
        self._file.close()

    def _write_column(self, name: str, values: npt.NDArray[Any]) -> None:
        data = hdf5.as_texts(values.tolist()) if values.dtype == object else values
        self._file.create_dataset(name, data=data).attrs[hdf5.SUMS] = hdf5.crc(values)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._file.close()
