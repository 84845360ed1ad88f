"""Flips a bit in what stages hand to each other: the stage that reads it says so, or what it reads is the same; and
`lobule doctor` names the file in every case.

In: nothing. Out: a row for each kind of file. A shard, plan, predictions, record and weights are made in a folder of
their own, with a lock and a cache as DVC leaves them.
"""

import hashlib
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from pipeline.base import hdf5
from pipeline.base.errors import Problem
from pipeline.base.files import read_sealed, write_sealed
from pipeline.base.parquet import read_rows, write_rows
from pipeline.base.records import Model
from pipeline.health import storage
from pipeline.models import weights
from pipeline.tiles.plan import COLUMNS, read_plan, write_plan
from pipeline.tiles.store import Shard, ShardInfo, Tile
from pipeline.tiles.writer import ShardWriter
from tests.records import MODEL
from tests.torture.table import Log, Row

SEED = 11
SIZE = 16  # px a side
FLIPS = (20, 100)  # of each kind, in the short and the long form
INFO = ShardInfo("drawn", ("background", "nucleus"), 0.25, 40.0, "sample", "0" * 64, "none: drawn tiles", "", "")


@dataclass(frozen=True)
class Kind:
    """A kind of file: how it is made, and all that is read of it."""

    name: str
    file: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]


def run(short: bool, log: Log) -> Iterator[Row]:
    """A row for each kind of file, and one for the cache's own objects."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for kind in KINDS:
            row = log.row("corruption", kind.name)
            folder = root / kind.name.replace(" ", "-")
            path = folder / "outputs" / kind.file
            path.parent.mkdir(parents=True)
            kind.make(path)
            keep(folder)
            before, whole = kind.read(path), path.read_bytes()
            for number in range(row.tried, FLIPS[not short]):
                place = random.Random(f"{SEED} {kind.name} {number}").randrange(8 * len(whole))
                row.add(flip(folder, path, whole, place, kind, before))
            yield row
        row = log.row("corruption", "cache object")
        objects(root / KINDS[0].name, row, FLIPS[not short])
        yield row


def flip(folder: Path, path: Path, whole: bytes, place: int, kind: Kind, before: Any) -> str | None:
    """Flip a bit, read and ask the doctor, put it right again; what was silent, None where nothing was."""
    rewrite(path, whole, place)
    try:
        said = None if kind.read(path) == before else f"bit {place} of {path.name} was read as if nothing were"
    except Problem:
        said = None
    except Exception as error:
        said = f"bit {place} of {path.name}: {type(error).__name__}, no sentence"
    if not seen(folder):
        said = f"bit {place} of {path.name}: the doctor did not see it"
    path.write_bytes(whole)
    return said


def objects(folder: Path, row: Row, flips: int) -> None:
    """Flips in the objects of the cache."""
    for number in range(row.tried, flips):
        draw = random.Random(f"{SEED} {row.kind} {number}")
        path = draw.choice(list(storage.objects_of(folder / ".dvc/cache/files/md5")))
        whole = path.read_bytes()
        rewrite(path, whole, place := draw.randrange(8 * len(whole)))
        row.add(None if seen(folder) else f"bit {place} of {path.name}: the doctor did not see it")
        path.write_bytes(whole)


def rewrite(path: Path, whole: bytes, place: int) -> None:
    """Write a file with one bit flipped, and its time as it was: so a disk does it."""
    status = path.stat()
    raw = bytearray(whole)
    raw[place // 8] ^= 1 << place % 8
    path.write_bytes(raw)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def seen(folder: Path) -> bool:
    """Whether the doctor finds something wrong."""
    return any(finding.wrong for finding in storage.examine(folder))


def keep(folder: Path) -> None:
    """Write a lock of the outputs, and their objects into a cache."""
    cache = folder / ".dvc/cache/files/md5"
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").touch()
    listed = []
    for path in sorted((folder / "outputs").iterdir()):
        content = path.read_bytes()
        listed.append({"md5": put(cache, content), "relpath": path.name})
    name = put(cache, json.dumps(listed, sort_keys=True).encode(), ".dir")
    lock = {"schema": "2.0", "stages": {"make": {"cmd": "make", "outs": [{"path": "outputs", "md5": name}]}}}
    (folder / "dvc.lock").write_text(json.dumps(lock))


def put(cache: Path, content: bytes, suffix: str = "") -> str:
    """Put an object into the cache; its name."""
    name = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
    (cache / name[:2]).mkdir(parents=True, exist_ok=True)
    (cache / name[:2] / name[2:]).write_bytes(content)
    return name


def make_shard(path: Path) -> None:
    drawn = np.random.default_rng(SEED)
    with ShardWriter(path, 3, SIZE, INFO) as shard:
        for index in range(3):
            image, class_map = drawn.integers(0, 256, (SIZE, SIZE, 3)), drawn.integers(0, 2, (SIZE, SIZE))
            maps = class_map.astype(np.uint8), class_map.astype(np.int32)
            shard.add(Tile(image.astype(np.uint8), *maps, {1: 1}, index, patient=f"P{index}", group="Breast"))


def read_shard(path: Path) -> Any:
    shard = Shard(path)
    tiles = [(shard.image(i), shard.class_map(i), shard.instance_map(i)) for i in range(len(shard))]
    arrays = [[array.tobytes() for array in tile] for tile in tiles]
    return shard.info, arrays, shard.table().to_csv(), shard.nuclei().to_csv()


def make_plan(path: Path) -> None:
    rows = [("drawn", "a", i, "", "", 0, 0, 0.25, "train", 0, "{}") for i in range(20)]
    write_plan(pd.DataFrame(rows, columns=list(COLUMNS)), path)


def make_maps(path: Path) -> None:
    maps = np.random.default_rng(SEED).integers(0, 2, (3, SIZE, SIZE)).astype(np.uint8)
    with hdf5.create(path) as file:
        hdf5.write_attribute(file, "classes", '["background", "nucleus"]')
        file["class_map"] = maps
        hdf5.write_sums(file, "class_map", map(hdf5.crc, maps))


def read_maps(path: Path) -> Any:
    with hdf5.reading(path) as file:
        return hdf5.read_attribute(file, "classes"), hdf5.read_array(file, "class_map").tobytes()


def make_rows(path: Path) -> None:
    drawn = np.random.default_rng(SEED)
    write_rows(path, pd.DataFrame({"patient": ["", "NA", "P1"] * 10, "index": range(30), "score": drawn.random(30)}))


def make_weights(path: Path) -> None:
    network = torch.nn.Linear(16, 16)
    weights.save(network, path)
    MODEL.model_copy(update={"sha256": weights.checksum(path)}).write(path.with_name("model.json"))


def read_weights(path: Path) -> Any:
    weights.check(path)
    return {name: values.tolist() for name, values in load_file(path).items()}


def make_record(path: Path) -> None:
    make_weights(path.with_name("model.safetensors"))


KINDS = (
    Kind("shard", "a.h5", make_shard, read_shard),
    Kind("plan", "split.csv", make_plan, lambda path: read_plan(path).to_csv()),
    Kind("predictions", "test.h5", make_maps, read_maps),
    Kind("predicted table", "predictions.csv", lambda path: write_sealed(path, "tile,p\n1,0.5\n"), read_sealed),
    Kind("evaluated rows", "counts.parquet", make_rows, lambda path: read_rows(path).to_csv()),
    Kind("weights", "model.safetensors", make_weights, read_weights),
    Kind("record", "model.json", make_record, Model.read),
)
