"""Draw the sample of PanNuke in its own format; what holds for every drawing is said in pipeline/drawing/__init__.py.

Every tile has a random stream of its own, so that tile k of a fold stays the same when the fold grows.

    python -m pipeline.datasets.pannuke.drawing --sheet FILE     draws a contact sheet by params.yaml
"""

import argparse
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.base.params import read_params
from pipeline.datasets.pannuke.card import CARD, Sample
from pipeline.drawing import scenes
from pipeline.drawing.canvas import Canvas
from pipeline.drawing.stain import photograph_patient

CHANNELS = ("neoplastic", "inflammatory", "connective", "dead", "epithelial", "background")
FOLDS = (1, 2, 3)
OTHER_TISSUES = ("Colon", "Esophagus", "Bile-duct")
TILES_PER_PATIENT = 4
DEAD_EVERY = 16  # breast tiles, one has a dying cell: far more often than in PanNuke, rare enough to stay hard


def draw(folder: Path, seed: int, settings: Sample) -> None:
    """Write three folds in PanNuke's layout: `Fold 1/images/fold1/{images,types}.npy`, `Fold 1/masks/fold1/masks.npy`.

    images (N, S, S, 3) float64 with whole numbers 0..255; masks (N, S, S, 6) float64, instance ids in channels 0-4 and
    1 in channel 5 where there is no nucleus; types (N,) text, the tissue.
    """
    count, size = settings.tiles_per_fold, settings.tile_size
    for fold in FOLDS:
        images_folder = folder / f"Fold {fold}" / "images" / f"fold{fold}"
        masks_folder = folder / f"Fold {fold}" / "masks" / f"fold{fold}"
        images_folder.mkdir(parents=True, exist_ok=True)
        masks_folder.mkdir(parents=True, exist_ok=True)
        open_array = np.lib.format.open_memmap
        images = open_array(images_folder / "images.npy", "w+", np.dtype("<f8"), (count, size, size, 3))
        masks = open_array(masks_folder / "masks.npy", "w+", np.dtype("<f8"), (count, size, size, 6))
        tissues = []
        for index in range(count):
            images[index], masks[index], tissue = draw_tile(seed, settings, fold, index)
            tissues.append(tissue)
        images.flush()
        masks.flush()
        np.save(images_folder / "types.npy", np.array(tissues, "<U13"))


def draw_tile(
    seed: int, settings: Sample, fold: int, index: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], str]:
    """Image (S, S, 3), masks (S, S, 6) and tissue of one tile."""
    share, size = settings.breast_share, settings.tile_size
    breasts_before = math.ceil(round(index * share, 9))
    is_breast = math.ceil(round((index + 1) * share, 9)) > breasts_before
    rank = breasts_before if is_breast else index - breasts_before
    tissue = "Breast" if is_breast else OTHER_TISSUES[rank % len(OTHER_TISSUES)]

    patient = np.random.default_rng([seed, fold, rank // TILES_PER_PATIENT, 1 if is_breast else 2])
    rng = np.random.default_rng([seed, fold, index])
    canvas = Canvas.blank(size, size, CARD.microns_per_pixel)
    if is_breast:
        scenes.BREAST[rank % len(scenes.BREAST)](canvas, rng)
        if rank % DEAD_EVERY == 1:
            scenes.one(canvas, rng, "dead")
    else:
        scenes.crypts(canvas, rng)
    image = photograph_patient(canvas, rng, patient)

    masks = np.zeros((size, size, len(CHANNELS)), np.int32)
    for number, kind in canvas.nuclei.items():
        masks[..., CHANNELS.index(kind)][canvas.instances == number] = number
    masks[..., -1] = canvas.instances == 0
    return image, masks, tissue


# of the outlines, by mask channel: red, green, blue, yellow, orange
COLOURS = ((230, 30, 30), (30, 170, 30), (30, 60, 230), (240, 210, 0), (255, 130, 0))


def draw_sheet(path: Path, seed: int, settings: Sample, rows: int = 5, columns: int = 4) -> None:
    """A picture of the first fold's tiles, each beside a copy with its nuclei outlined in the colour of their class."""
    from PIL import Image

    pairs = []
    for index in range(rows * columns):
        image, masks, _ = draw_tile(seed, settings, 1, index)
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
    sample = read_params().sample
    draw_sheet(parser.parse_args().sheet, sample["seed"], Sample.model_validate(sample[CARD.name]))
