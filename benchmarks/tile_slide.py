"""Speed and memory of tiling a whole slide, beside plain OpenSlide reading of the same tiles.

    python -m benchmarks.tile_slide [FOLDER] [--side PX] [--runs N]

Writes a made-up slide (default 40,000 px a side, 6,241 tiles) with lesions under FOLDER (default: a temporary folder).
Then, as often as said, converts it in a child process and reads the tiles that were kept one after the other in another
one, and prints the medians of tiles per second of both, their ratio, and the most memory that a conversion had.

Both start with the slide out of the page cache. Choosing, measuring, drawing the class maps, writing the store (to the
page cache) and the pictures is in the first time and not in the second. Python's start and imports are in neither,
since hundreds of slides share them; the time with them is told, too. The conversion is one process with threads, so
its memory is all there is.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from benchmarks.convert_pannuke import drop_from_cache
from pipeline.base.records import Source, SourceFile
from pipeline.drawing import scenes
from pipeline.drawing.canvas import Canvas
from pipeline.drawing.stain import Stain, photograph
from pipeline.slides.tiling import CORES

ROOT = Path(__file__).resolve().parents[1]
TILE = 256  # px, of the TIFF
KINDS = 12  # different squares of tissue
LEVELS = (1, 4, 16)
LESIONS = 60
CONVERT = """
import time
from pathlib import Path
from pipeline.slides import annotations, contact_sheet, tiling  # what the stage imports when it comes to a slide
from pipeline.stages.convert import convert
from pipeline.base.params import Tiling
start = time.perf_counter()
convert("bracs", Path("SOURCE.json"), Path("tiles"), Tiling())
print(time.perf_counter() - start)
"""
PLAIN = """
import csv, time, numpy, openslide
start = time.perf_counter()
slide = openslide.OpenSlide("slides/BRACS_1.svs")
rows = [row for row in csv.DictReader(open("tiles/BRACS_1.csv")) if row["state"] in ("lesion", "lesion-free")]
for row in rows:
    numpy.asarray(slide.read_region((int(row["x"]), int(row["y"])), 0, (512, 512)).convert("RGB"))
print(len(rows), time.perf_counter() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where there are 4 GB of room")
    parser.add_argument("--side", type=int, default=40_000, help="px")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        files = write_source(folder, arguments.side)
        for _ in range(arguments.runs):
            runs.append((*convert(folder, files), *read_plainly(folder, files)))
            shutil.rmtree(folder / "tiles")
    print(f"slide: {arguments.side:,} x {arguments.side:,} px; medians of {arguments.runs} runs on {CORES} cores")
    for _, seconds, peak, _, plain in runs:
        print(f"a run: {seconds:.2f} s, {plain:.2f} s, {plain / seconds:.2f} times, {peak / 2**20:,.0f} MiB")
    whole, seconds, _, count, plain = (statistics.median(values) for values in zip(*runs, strict=True))
    ratio = statistics.median(plain / seconds for _, seconds, _, _, plain in runs)
    print(f"peak memory of the conversion: {max(run[2] for run in runs) / 2**20:,.0f} MiB")
    print(f"conversion: {seconds:.1f} s, {count / seconds:,.0f} tiles/s; {whole:.1f} s with Python's start and imports")
    print(f"plain read: {plain:.1f} s, {count / plain:,.0f} tiles/s; {count:,.0f} tiles")
    print(f"conversion is {ratio:.2f} times as fast as the plain read")


def write_source(folder: Path, side: int) -> list[Path]:
    """A slide, its annotation and their record; returns the files."""
    (folder / "slides").mkdir()
    files = [folder / "slides/BRACS_1.svs", folder / "slides/BRACS_1.geojson"]
    kinds = draw_kinds()
    layout = np.random.default_rng(0).integers(1, KINDS + 1, (side // TILE + 1, side // TILE + 1))
    edge = len(layout) // 6
    layout[:edge], layout[-edge:], layout[:, :edge], layout[:, -edge:] = 0, 0, 0, 0
    with tifffile.TiffWriter(files[0], bigtiff=True) as tiff:
        for level, step in enumerate(LEVELS):
            tiff.write(
                encoded(kinds, layout, side // step, step),
                shape=(side // step, side // step, 3),
                dtype="uint8",
                tile=(TILE, TILE),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                description="Aperio Image Library (drawn by Lobule)\r\n|AppMag = 40|MPP = 0.25",
                subfiletype=int(level > 0),
                metadata=None,
            )
    angles = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    centres = np.random.default_rng(1).random((LESIONS, 2)) * 0.55 * side + 0.22 * side
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [(centre + side / 60 * circle).tolist()]},
            "properties": {"classification": {"name": "UDH"}},
        }
        for centre in centres
    ]
    files[1].write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    named = [SourceFile(name=path.name, bytes=path.stat().st_size, sha256="0" * 64) for path in files]
    none = {"licence": "none: drawn tiles", "licence_url": "", "citation": ""}
    record = Source(
        dataset="bracs", source="sample", folder=str(folder / "slides"), **none, files=named, sha256="0" * 64
    )
    record.write(folder / "SOURCE.json")
    return files


def draw_kinds() -> list[np.ndarray]:
    """Glass, and then squares of tissue, (TILE, TILE, 3)."""
    rng = np.random.default_rng(0)
    stain, squares = Stain.random(rng), []
    for kind in range(KINDS + 1):
        canvas = Canvas.blank(TILE, TILE, 0.25)
        if kind:
            (scenes.duct, scenes.fibrous, scenes.tumour)[kind % 3](canvas, rng)
        squares.append(photograph(canvas, rng, stain, 0.6))
    return squares


def encoded(kinds: list[np.ndarray], layout: np.ndarray, side: int, step: int) -> Iterator[bytes]:
    """The JPEG tiles of a level; those of finer kinds stand side by side on coarser levels."""
    made: dict[tuple[int, ...], bytes] = {}
    small = [
        kind.reshape(TILE // step, step, TILE // step, step, 3).mean(axis=(1, 3)).astype(np.uint8) for kind in kinds
    ]
    padded = np.pad(layout, ((0, step), (0, step)))
    for row in range(0, -(-side // TILE) * step, step):
        for column in range(0, -(-side // TILE) * step, step):
            part = padded[row : row + step, column : column + step]
            part = np.pad(part, ((0, step - part.shape[0]), (0, step - part.shape[1])))
            key = tuple(part.ravel().tolist())
            if key not in made:
                made = made if step == 1 else {}
                buffer = io.BytesIO()
                pixels = np.vstack([np.hstack([small[kind] for kind in line]) for line in part])
                Image.fromarray(pixels).save(buffer, "JPEG", quality=85, subsampling=2)
                made[key] = buffer.getvalue()
            yield made[key]


def convert(folder: Path, files: list[Path]) -> tuple[float, float, int]:
    """Convert in a child; its seconds in all, those of the conversion, and peak resident memory in bytes."""
    drop_from_cache(files)
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", CONVERT],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    whole = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"the conversion ended with exit code {child.returncode}")
    return whole, float(said.split()[-1]), usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def read_plainly(folder: Path, files: list[Path]) -> tuple[int, float]:
    """Number of tiles and seconds."""
    drop_from_cache(files)
    child = subprocess.run([sys.executable, "-c", PLAIN], cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    count, seconds = child.stdout.split()
    return int(count), float(seconds)


if __name__ == "__main__":
    main()
