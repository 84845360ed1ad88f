"""Draw the sample: small synthetic stand-ins for the public data sets, each in its own on-disk format.

The tiles look like H&E and mean nothing clinically. They are for trying the whole pipeline without a download, and for
tests. Every tile has a random stream of its own, so that tile k of a fold stays the same when the fold grows; how far
the same seed gives the same bytes is said in pipeline/drawing/__init__.py.

    python -m pipeline.datasets.sample --sheet FILE     draws a contact sheet by params.yaml
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.base.errors import Problem
from pipeline.base.params import Params, Sample, read_params
from pipeline.datasets.sample_nuclei import draw_monuseg, draw_tnbc
from pipeline.datasets.sample_regions import draw_bach, draw_bcss
from pipeline.datasets.sample_slides import draw_bracs
from pipeline.drawing import scenes
from pipeline.drawing.canvas import Canvas, between
from pipeline.drawing.stain import Stain, photograph

PANNUKE_CHANNELS = ("neoplastic", "inflammatory", "connective", "dead", "epithelial", "background")
PANNUKE_FOLDS = (1, 2, 3)
OTHER_TISSUES = ("Colon", "Esophagus", "Bile-duct")
MICRONS_PER_PIXEL = 0.25
TILES_PER_PATIENT = 4
DEAD_EVERY = 16  # breast tiles, one has a dying cell: far more often than in PanNuke, rare enough to stay hard


def draw(dataset: str, params: Params, folder: Path) -> None:
    """Draw the sample of a data set into a folder, in the data set's own layout."""
    drawers: dict[str, Callable[[Path, Sample], None]] = {
        "pannuke": draw_pannuke,
        "tnbc": lambda folder, sample: draw_tnbc(folder, sample.seed, **sample.tnbc.model_dump()),
        "monuseg": lambda folder, sample: draw_monuseg(folder, sample.seed, **sample.monuseg.model_dump()),
        "bcss": lambda folder, sample: draw_bcss(folder, sample.seed, **sample.bcss.model_dump()),
        "bach": lambda folder, sample: draw_bach(folder, sample.seed, **sample.bach.model_dump()),
        "bracs": lambda folder, sample: draw_bracs(folder, sample.seed, **sample.bracs.model_dump()),
    }
    if dataset not in drawers:
        raise Problem(f"there is no sample of {dataset}; set datasets.{dataset}.source to official or to a folder.")
    drawers[dataset](folder, params.sample)


def draw_pannuke(folder: Path, sample: Sample) -> None:
    """Write three folds in PanNuke's layout: `Fold 1/images/fold1/{images,types}.npy`, `Fold 1/masks/fold1/masks.npy`.

    images (N, S, S, 3) float64 with whole numbers 0..255; masks (N, S, S, 6) float64, instance ids in channels 0-4 and
    1 in channel 5 where there is no nucleus; types (N,) text, the tissue.
    """
    count, size = sample.pannuke.tiles_per_fold, sample.pannuke.tile_size
    for fold in PANNUKE_FOLDS:
        images_folder = folder / f"Fold {fold}" / "images" / f"fold{fold}"
        masks_folder = folder / f"Fold {fold}" / "masks" / f"fold{fold}"
        images_folder.mkdir(parents=True, exist_ok=True)
        masks_folder.mkdir(parents=True, exist_ok=True)
        open_array = np.lib.format.open_memmap
        images = open_array(images_folder / "images.npy", "w+", np.dtype("<f8"), (count, size, size, 3))
        masks = open_array(masks_folder / "masks.npy", "w+", np.dtype("<f8"), (count, size, size, 6))
        tissues = []
        for index in range(count):
            images[index], masks[index], tissue = pannuke_tile(sample, fold, index)
            tissues.append(tissue)
        images.flush()
        masks.flush()
        np.save(images_folder / "types.npy", np.array(tissues, "<U13"))


def pannuke_tile(sample: Sample, fold: int, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], str]:
    """Image (S, S, 3), masks (S, S, 6) and tissue of one tile."""
    share, size = sample.pannuke.breast_share, sample.pannuke.tile_size
    breasts_before = math.ceil(round(index * share, 9))
    is_breast = math.ceil(round((index + 1) * share, 9)) > breasts_before
    rank = breasts_before if is_breast else index - breasts_before
    tissue = "Breast" if is_breast else OTHER_TISSUES[rank % len(OTHER_TISSUES)]

    patient = np.random.default_rng([sample.seed, fold, rank // TILES_PER_PATIENT, 1 if is_breast else 2])
    stain, sharpness = Stain.random(patient), between(patient, (0.3, 1.0))
    rng = np.random.default_rng([sample.seed, fold, index])
    canvas = Canvas.blank(size, size, MICRONS_PER_PIXEL)
    if is_breast:
        scenes.BREAST[rank % len(scenes.BREAST)](canvas, rng)
        if rank % DEAD_EVERY == 1:
            scenes.one(canvas, rng, "dead")
    else:
        scenes.crypts(canvas, rng)
    image = photograph(canvas, rng, stain, sharpness + between(rng, (0, 1)))

    masks = np.zeros((size, size, len(PANNUKE_CHANNELS)), np.int32)
    for number, kind in canvas.nuclei.items():
        masks[..., PANNUKE_CHANNELS.index(kind)][canvas.instances == number] = number
    masks[..., -1] = canvas.instances == 0
    return image, masks, tissue


# of the outlines, by mask channel: red, green, blue, yellow, orange
COLOURS = ((230, 30, 30), (30, 170, 30), (30, 60, 230), (240, 210, 0), (255, 130, 0))


def draw_sheet(path: Path, sample: Sample, rows: int = 5, columns: int = 4) -> None:
    """A picture of the first fold's tiles, each beside a copy with its nuclei outlined in the colour of their class."""
    from PIL import Image

    pairs = []
    for index in range(rows * columns):
        image, masks, _ = pannuke_tile(sample, 1, index)
        outlined = image.copy()
        for channel, colour in enumerate(COLOURS):
            ids = np.pad(masks[..., channel], 1, mode="edge")
            inner = ids[1:-1, 1:-1]
            border = (inner != ids[:-2, 1:-1]) | (inner != ids[2:, 1:-1])
            border |= (inner != ids[1:-1, :-2]) | (inner != ids[1:-1, 2:])
            outlined[border & (inner > 0)] = colour
        pairs.append(np.pad(np.hstack([image, outlined]), ((2, 2), (2, 2), (0, 0)), constant_values=255))
    lines = [np.hstack(pairs[row * columns : (row + 1) * columns]) for row in range(rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    # 256 colours are enough to the eye and a third of the bytes; this method keeps the outlines' rare colours.
    few = Image.fromarray(np.vstack(lines)).quantize(256, Image.Quantize.MAXCOVERAGE)
    few.save(path, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw a contact sheet of the sample.")
    parser.add_argument("--sheet", type=Path, required=True, metavar="FILE")
    draw_sheet(parser.parse_args().sheet, read_params().sample)
