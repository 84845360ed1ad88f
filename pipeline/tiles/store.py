"""The tile store: the one format that every stage after `convert` reads.

`data/tiles/<dataset>/<shard>.h5`, one shard a fold, slide or patient, all tiles of a shard of one size, mostly square:

    images      (N, H, W, 3) uint8
    classes     (N, H, W)    uint8   class map: index into the class names, 255 = ignore
    instances   (N, H, W)    int32   instance map: 0 = none, else unique within the tile
    table/*     (N,)                 one array a column of the index, see `TABLE_COLUMNS`
    nuclei/*    (M,)                 tile, id, class: the class of every instance
    bits        (N, H, W)    uint8   only where areas may overlap: bit 0 = class 1, bit 1 = class 2, ...
    crc32/*     (N,)         uint32  a checksum of each row of these arrays; an attribute of those of table and nuclei

The arrays are contiguous and uncompressed, so that a tile is read at memory-map speed (compressed
one-tile chunks are 25 times slower). Attributes: dataset, class names, microns per pixel, magnification,
source and its checksum, licence and citation of what is in it. A shard with `bits` holds areas and no nuclei:
its `instances` are 0. Maps that are 0 everywhere are not written and take no room. A tile is compared with its
checksums when it is first read.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base import hdf5
from pipeline.base.errors import Problem

IGNORE = 255  # class code of pixels that count in no loss and no metric
FORMAT = 2  # raised when a reader of the old layout would misread the new one

Image = npt.NDArray[np.uint8]  # (H, W, 3), RGB
ClassMap = npt.NDArray[np.uint8]  # (H, W)
InstanceMap = npt.NDArray[np.int32]  # (H, W)

ARRAYS: dict[str, tuple[Any, ...]] = {  # type of an element, and what follows (N, H, W)
    "images": ("u1", 3),
    "classes": ("u1",),
    "instances": ("i4",),
    "bits": ("u1",),
}
TABLE_COLUMNS = ("source_index", "patient", "slide", "x", "y", "group", "overlap", "conflict")
TEXT_COLUMNS = ("patient", "slide", "group")


@dataclass(frozen=True)
class Tile:
    """A piece of tissue, what is in it, and where it came from."""

    image: Image
    class_map: ClassMap
    instance_map: InstanceMap
    nuclei: Mapping[int, int]  # instance id -> class code
    source_index: int  # of the tile in its source file
    patient: str = ""  # empty where the data set does not tell
    slide: str = ""
    x: int = 0  # px of the top left corner in the slide
    y: int = 0
    group: str = ""  # what a study may select by: PanNuke's tissue, TCGA's institution
    overlap: int = 0  # px that several instances claim; the later one has them
    conflict: int = 0  # px at which the source contradicts itself
    bits: ClassMap | None = None  # (H, W), a bit a class, where areas may overlap


@dataclass(frozen=True)
class ShardInfo:
    """What holds for all tiles of a shard."""

    dataset: str
    classes: tuple[str, ...]  # by class code
    microns_per_pixel: float
    magnification: float
    source: str  # sample, official or the folder it was read from
    source_sha256: str  # of the source files' checksums; changes whenever the source does
    licence: str  # of what is in it; "none: drawn tiles" of a sample
    licence_url: str  # empty where there is no licence
    citation: str  # empty where nothing is to be cited


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


@dataclass
class Shard:
    """Read a shard. The file is opened at the first access, never before a worker process forks off."""

    path: Path
    _file: Any = field(default=None, init=False, repr=False, compare=False)
    _unchecked: dict[str, dict[int, int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def file(self) -> Any:
        """The open HDF5 file."""
        if self._file is None:
            try:
                opened = h5py.File(self.path, "r")
                version, _ = opened.attrs.get("format"), [opened[name].shape for name in ARRAYS if name in opened]
            except hdf5.BROKEN as error:
                raise Problem(f"{self.path} is no readable tile shard ({error}); {hdf5.CURE}.") from None
            if version != FORMAT:
                raise Problem(f"{self.path} was written by another version of Lobule; run `dvc repro` again.")
            self._file = opened
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}  # an open HDF5 file must not cross into another process

    def __len__(self) -> int:
        return int(self.file["images"].shape[0])

    @property
    def info(self) -> ShardInfo:
        """What holds for all tiles of the shard."""
        found = partial(hdf5.read_attribute, self.file)
        return ShardInfo(
            dataset=str(found("dataset")),
            classes=tuple(json.loads(found("classes"))),
            microns_per_pixel=float(found("microns_per_pixel")),
            magnification=float(found("magnification")),
            source=str(found("source")),
            source_sha256=str(found("source_sha256")),
            licence=str(found("licence")),
            licence_url=str(found("licence_url")),
            citation=str(found("citation")),
        )

    def image(self, index: int) -> Image:
        """RGB image of a tile, (H, W, 3) uint8."""
        image: Image = self._row("images", index)
        return image

    def class_map(self, index: int) -> ClassMap:
        """Class map of a tile, (H, W) uint8, 255 = ignore."""
        class_map: ClassMap = self._row("classes", index)
        return class_map

    def instance_map(self, index: int) -> InstanceMap:
        """Instance map of a tile, (H, W) int32, 0 = none."""
        instance_map: InstanceMap = self._row("instances", index)
        return instance_map

    def bits(self, index: int) -> ClassMap | None:
        """Bit map of a tile, (H, W) uint8, or None where the data set has no areas that may overlap."""
        bits: ClassMap | None = self._row("bits", index) if "bits" in self.file else None
        return bits

    def lesion(self, index: int, target: str) -> npt.NDArray[np.bool_]:
        """Where one lesion type is, (H, W), whatever else is there, too; nowhere beyond the slide's border."""
        bits = self.bits(index)
        if bits is None:
            raise Problem(f"{self.path} has no areas of lesions; a study's target needs data of slides.")
        lesion: npt.NDArray[np.bool_] = (bits >> (self._codes[target] - 1) & 1).astype(np.bool_)
        return lesion

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.info.classes)}

    def table(self) -> pd.DataFrame:
        """The index: one row a tile, with the columns of `TABLE_COLUMNS`."""
        return pd.DataFrame({column: self._column(f"table/{column}") for column in TABLE_COLUMNS})

    def nuclei(self) -> pd.DataFrame:
        """One row an instance: tile (index in the shard), id (in the instance map), class (code)."""
        return pd.DataFrame({column: self._column(f"nuclei/{column}") for column in ("tile", "id", "class")})

    def _row(self, name: str, index: int) -> Any:
        """A tile's row of an array, compared with its checksum the first time: that takes longer than to read it."""
        try:
            values = self.file[name][index]
            if name not in self._unchecked:
                self._unchecked[name] = dict(enumerate(hdf5.read_sums(self.file, name)))
        except hdf5.BROKEN as error:
            raise hdf5.unreadable(self.path, error) from None
        if index in self._unchecked[name]:
            if hdf5.crc(values) != self._unchecked[name][index]:
                raise hdf5.damaged(self.path, name, index)
            del self._unchecked[name][index]
        return values

    def _column(self, name: str) -> npt.NDArray[Any]:
        try:
            column = self.file[name]
            values: npt.NDArray[Any] = column.asstr()[:] if h5py.check_string_dtype(column.dtype) else column[:]
            wanted = column.attrs.get(hdf5.SUMS)
        except (*hdf5.BROKEN, UnicodeDecodeError) as error:
            raise hdf5.unreadable(self.path, error) from None
        if wanted is not None and hdf5.crc(values) != wanted:
            raise Problem(f"{self.path} is damaged: {name} is not what was written; {hdf5.CURE}.")
        return values


def shards(dataset: str, root: Path = Path("data/tiles")) -> list[Shard]:
    """All shards of a data set, in the order of their names."""
    paths = sorted((root / dataset).glob("*.h5"))
    if not paths:
        raise Problem(f"{root / dataset} holds no tiles; run `dvc repro convert@{dataset}`.")
    return [Shard(path) for path in paths]
