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
import resource
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base import hdf5
from pipeline.base.errors import Problem
from pipeline.base.params import convert_stage

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
OPEN: "OrderedDict[int, weakref.ref[Shard]]" = OrderedDict()  # by id, that which was read longest ago first


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


@cache
def most_open() -> int:
    """How many shards this process keeps open: half of the files that it may (`ulimit -n`), a Mac's 256 for example."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1024 if allowed == resource.RLIM_INFINITY else min(1024, max(4, allowed // 2))


@dataclass
class Shard:
    """Read a shard. The file is opened at the first access, never before a worker process forks off.

    A process keeps no more shards open than half of the files that it may open: the one that was read longest ago is
    closed for the next, and opened again when it is read again.
    """

    path: Path
    _file: Any = field(default=None, init=False, repr=False, compare=False)
    _unchecked: dict[str, dict[int, int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def file(self) -> Any:
        """The open HDF5 file."""
        if self._file is None:
            self._file = self._open()
        OPEN.move_to_end(id(self))
        return self._file

    def _open(self) -> Any:
        while len(OPEN) >= most_open():
            _, oldest = OPEN.popitem(last=False)
            if (shard := oldest()) is not None:  # a shard is false where it holds no tile
                shard.close()
        try:
            file = h5py.File(self.path, "r")
            version, _ = file.attrs.get("format"), [file[name].shape for name in ARRAYS if name in file]
        except hdf5.BROKEN as error:
            raise hdf5.unreadable(self.path, error) from None
        if version != FORMAT:
            raise Problem(f"{self.path} was written by another version of Lobule; run `dvc repro` again.")
        key = id(self)
        OPEN[key] = weakref.ref(self, lambda _: OPEN.pop(key, None))
        return file

    def close(self) -> None:
        """Close the file; the next access opens it again."""
        OPEN.pop(id(self), None)
        if self._file is not None:
            self._file.close()
            self._file = None

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
        raise Problem(f"{root / dataset} holds no tiles; run `dvc repro {convert_stage(dataset)}`.")
    return [Shard(path) for path in paths]
