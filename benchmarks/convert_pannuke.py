"""Memory and speed of converting a full-size PanNuke fold (2,656 tiles, 12.5 GB of float64).

    python benchmarks/convert_pannuke.py [FOLDER] [--tiles N] [--zip]

Writes a made-up fold under FOLDER (default: a temporary folder), reads its arrays plainly, converts them in a child
process, prints the child's peak memory and the ratio of the two speeds, and deletes what it wrote. Both start
with the files out of the page cache.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.base.records import Source, SourceFile

ROOT = Path(__file__).resolve().parents[1]
SIDE = 256  # px
NUCLEI = 24  # a tile, in a grid; about PanNuke's mean
KINDS = 8  # different tiles, repeated to the end of the fold
CHUNK = 1 << 22  # bytes, of the plain read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where there are 16 GB of room")
    parser.add_argument("--tiles", type=int, default=2656)
    parser.add_argument("--zip", action="store_true", help="write the fold as a zip, as the official site has it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        files = write_fold(folder / "fold", arguments.tiles, arguments.zip)
        record = Source(
            dataset="pannuke",
            source=str(folder / "fold"),
            folder=str(folder / "fold"),
            licence="none: drawn tiles",
            licence_url="",
            citation="",
            files=[
                SourceFile(name=str(path.relative_to(folder / "fold")), bytes=path.stat().st_size, sha256="0" * 64)
                for path in files
            ],
            sha256="0" * 64,
        )
        record.write(folder / "data/raw/pannuke/SOURCE.json")
        shutil.copy(ROOT / "params.yaml", folder)
        plain = read_plainly(files)
        seconds, peak = convert(folder, files)
    print(f"fold: {arguments.tiles:,} tiles, {'zipped' if arguments.zip else 'unpacked'}")
    print(f"peak memory of the conversion: {peak / 2**20:,.0f} MiB")
    print(f"conversion: {seconds:.1f} s, {arguments.tiles / seconds:,.0f} tiles/s")
    print(f"plain read: {plain:.1f} s, {arguments.tiles / plain:,.0f} tiles/s")
    print(f"conversion takes {seconds / plain:.2f} times as long as the plain read")


def write_fold(folder: Path, count: int, zipped: bool) -> list[Path]:
    """Write a fold tile by tile, so that this process stays small; returns its files."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (KINDS, SIDE, SIDE, 3)).astype(float)
    masks = np.zeros((KINDS, SIDE, SIDE, 6))
    for kind in range(KINDS):
        for nucleus in range(NUCLEI):
            y, x = (int(step) for step in 40 * np.array(divmod(nucleus, 6)) + random.integers(0, 20, 2))
            masks[kind, y : y + 20, x : x + 20, random.integers(5)] = nucleus + 1
    masks[..., 5] = ~masks[..., :5].any(axis=-1)
    with opener(folder, zipped) as create:
        for path, kinds in (("images/fold1/images.npy", images), ("masks/fold1/masks.npy", masks)):
            with create(f"Fold 1/{path}") as stream:
                write_header(stream, (count, *kinds.shape[1:]), kinds.dtype)
                for tile in range(count):
                    stream.write(kinds[tile % KINDS].tobytes())
        with create("Fold 1/images/fold1/types.npy") as stream:
            types = np.full(count, "Breast")
            write_header(stream, types.shape, types.dtype)
            stream.write(types.tobytes())
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def opener(folder: Path, zipped: bool) -> Iterator[Callable[[str], IO[bytes]]]:
    """A function that opens a new file of the fold for writing."""

    def create(name: str) -> IO[bytes]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        return (folder / name).open("wb")

    if not zipped:
        yield create
        return
    folder.mkdir()
    with zipfile.ZipFile(folder / "fold_1.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        yield lambda name: archive.open(name, "w", force_zip64=True)


def write_header(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    description = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(stream, {"descr": description, "fortran_order": False, "shape": shape})


def read_plainly(files: list[Path]) -> float:
    """Seconds that reading the arrays takes and nothing else; a zip is inflated."""
    drop_from_cache(files)
    start = time.perf_counter()
    for path in files:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    with archive.open(name) as stream:
                        drain(stream)
        else:
            with path.open("rb", buffering=0) as stream:
                drain(stream)
    return time.perf_counter() - start


def drain(stream: IO[bytes]) -> None:
    while stream.read(CHUNK):
        pass


def convert(folder: Path, files: list[Path]) -> tuple[float, int]:
    """Run the stage in `folder`; seconds and peak resident memory in bytes."""
    drop_from_cache(files)
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline.stages.convert", "pannuke"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"the conversion ended with exit code {child.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def drop_from_cache(files: list[Path]) -> None:
    """Ask the system to forget what it holds of the files, so that each timing reads them anew."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in files:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
