"""How long `lobule new` takes to understand 1,000 pairs of images and masks, and 100 slides with outlines.

    python -m benchmarks.new_study [--pairs N] [--slides N]

Draws twenty pairs of 1,000 px with 16-bit numbers of nuclei and four slides of 8,192 px with 500 outlines each in a
temporary folder, gives each many names by hard links, and times `lobule new` as a process, start of Python included.
Prints seconds beside those of opening and decoding the same masks one after the other, as a plain loop would.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.apply import write_slide

ROOT = Path(__file__).resolve().parents[1]
SIDE, ACROSS = 1000, 25  # px of an image; nuclei in a row of it
SLIDE, OUTLINES = 8192, 500
DRAWN, SLIDES_DRAWN = 20, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--slides", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = folder / "project"
        for file in ("params.yaml", "dvc.yaml", "studies/stages.dvc.yaml"):
            (project / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, project / file)
        draw_pairs(folder / "pairs", arguments.pairs)
        draw_slides(folder / "slides", arguments.slides)
        patient = ("--patient-pattern", "^p([0-9]+)_")
        pairs = ("--images", folder / "pairs/images", "--masks", folder / "pairs/masks", "--microns-per-pixel", "0.25")
        seconds = understand(project, "one", *pairs, *patient)
        plain = read_plainly(folder / "pairs/masks")
        print(
            f"{arguments.pairs:,} pairs: {seconds:.1f} s; only to decode the masks one after the other: {plain:.1f} s"
        )
        seconds = understand(project, "two", "--slides", folder / "slides", *patient)
        print(f"{arguments.slides:,} slides: {seconds:.1f} s")


def understand(project: Path, name: str, *words: str | Path) -> float:
    """Seconds of one `lobule new`."""
    command = [sys.executable, "-m", "pipeline.commands", "new", name, *map(str, words), "--epochs", "1"]
    started = time.perf_counter()
    subprocess.run(
        command, cwd=project, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return time.perf_counter() - started


def read_plainly(masks: Path) -> float:
    started = time.perf_counter()
    for path in sorted(masks.iterdir()):
        with Image.open(path) as picture:
            np.asarray(picture)
    return time.perf_counter() - started


def draw_pairs(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    pitch = SIDE // ACROSS
    rows, columns = np.mgrid[:SIDE, :SIDE]
    inside = ((rows % pitch - pitch / 2) ** 2 + (columns % pitch - pitch / 2) ** 2) < (0.35 * pitch) ** 2
    numbers = np.where(inside, rows // pitch * ACROSS + columns // pitch + 1, 0).astype(np.uint16)
    for number in range(count):
        names = {kind: folder / kind / f"p{number // 4:04}_{number}.png" for kind in ("images", "masks")}
        if number < DRAWN:
            image = np.where(inside[..., None], (110, 60, 150), (230, 190, 215)) + rng.integers(
                -12, 12, (SIDE, SIDE, 3)
            )
            Image.fromarray(image.astype(np.uint8)).save(names["images"], compress_level=1)
            Image.fromarray(np.roll(numbers, number, 1)).save(names["masks"])
        else:
            for kind, path in names.items():
                first = number % DRAWN
                path.hardlink_to(folder / kind / f"p{first // 4:04}_{first}.png")


def draw_slides(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        slide = folder / f"p{number // 2:03}_{number}.tif"
        if number < SLIDES_DRAWN:
            write_slide(slide, SLIDE, 2000)
            corners = np.random.default_rng(number).uniform(100, SLIDE - 400, (OUTLINES, 2))
            features = [outline(corner, place % 2) for place, corner in enumerate(corners)]
            slide.with_suffix(".geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        else:
            first = folder / f"p{number % SLIDES_DRAWN // 2:03}_{number % SLIDES_DRAWN}.tif"
            slide.hardlink_to(first)
            slide.with_suffix(".geojson").hardlink_to(first.with_suffix(".geojson"))


def outline(corner: npt.NDArray[np.float64], kind: int) -> dict[str, object]:
    """A QuPath annotation with 40 corners."""
    angles = np.linspace(0, 2 * np.pi, 41)
    ring = np.round(corner + 100 + 90 * np.stack([np.cos(angles), np.sin(angles)], axis=1), 2).tolist()
    classification = {"name": ("tumour", "stroma")[kind]}
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": classification},
    }


if __name__ == "__main__":
    main()
