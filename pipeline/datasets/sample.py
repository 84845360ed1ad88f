"""Draw the sample: small synthetic stand-ins for the public data sets, each in its own on-disk format.

The tiles look like H&E and mean nothing clinically. They are for trying the whole pipeline without a download, and for
tests. Every tile has a random stream of its own, so that tile k of a fold stays the same when the fold grows; how far
the same seed gives the same bytes is said in pipeline/datasets/drawing.py.

    python -m pipeline.datasets.sample --sheet FILE     draws a contact sheet by params.yaml
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.datasets.drawing import (
    Canvas,
    Field,
    Rng,
    Stain,
    Vector,
    between,
    blob,
    cytoplasm,
    direction,
    hole,
    paint_nucleus,
    photograph,
    stroma,
)
from pipeline.errors import Problem
from pipeline.params import Params, Sample, read_params

PANNUKE_CHANNELS = ("neoplastic", "inflammatory", "connective", "dead", "epithelial", "background")
PANNUKE_FOLDS = (1, 2, 3)
OTHER_TISSUES = ("Colon", "Esophagus", "Bile-duct")
MICRONS_PER_PIXEL = 0.25
TILES_PER_PATIENT = 4
DEAD_EVERY = 16  # breast tiles: one dying cell


def draw(dataset: str, params: Params, folder: Path) -> None:
    """Draw the sample of a data set into a folder, in the data set's own layout."""
    drawers: dict[str, Callable[[Path, Sample], None]] = {"pannuke": draw_pannuke}
    if dataset not in drawers:
        raise Problem(f"there is no sample of {dataset}; set datasets.{dataset}.source to official or to a folder.")
    drawers[dataset](folder, params.sample)


def draw_pannuke(folder: Path, sample: Sample) -> None:
    """Write three folds as PanNuke lays them out: `Fold 1/images/fold1/{images,types}.npy`, `Fold 1/masks/fold1/masks.npy`.

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
    stain, sharpness = Stain.random(patient), between(patient, (0.5, 1.1))
    rng = np.random.default_rng([sample.seed, fold, index])
    canvas = Canvas.blank(size, size, MICRONS_PER_PIXEL)
    if is_breast:
        BREAST_SCENES[rank % len(BREAST_SCENES)](canvas, rng)
        if rank % DEAD_EVERY == 1:
            _one(canvas, rng, "dead")
    else:
        _crypts(canvas, rng)
    image = photograph(canvas, rng, stain, sharpness + between(rng, (0, 1)))

    masks = np.zeros((size, size, len(PANNUKE_CHANNELS)), np.int32)
    for number, kind in canvas.nuclei.items():
        masks[..., PANNUKE_CHANNELS.index(kind)][canvas.instances == number] = number
    masks[..., -1] = canvas.instances == 0
    return image, masks, tissue


# ---------------------------------------------------------------------------------------------------------- scenes


def _tumour(canvas: Canvas, rng: Rng) -> None:
    """A nest of tumour cells in stroma, with a few lymphocytes and fibroblasts."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.55, 0.9)), between(rng, (0.2, 0.9)))
    nest = _side(canvas, rng, grain, between(rng, (0.5, 1.1)))
    hole(canvas, np.clip(1 - np.abs(nest + 1.2) / 1.2, 0, 1) * between(rng, (0, 1)))  # the cleft around a nest
    inside = np.clip(nest, 0, 1)
    cytoplasm(canvas, rng, inside, between(rng, (0.12, 0.4)), between(rng, (0.25, 0.55)))
    _holes(canvas, rng, between(rng, (0, 1.5)), (1.5, 4))
    scale = between(rng, (0.8, 1.1))
    if rng.random() < 0.4:  # a tumour that still forms glands, hard to tell from a duct
        at = Vector(canvas.size.y * float(rng.random()), canvas.size.x * float(rng.random()))
        _gland(canvas, rng, "neoplastic", at, between(rng, (1, 5)), 1)
    _scatter(canvas, rng, "neoplastic", between(rng, (6, 13)), inside, None, scale)
    _scatter(canvas, rng, "connective", between(rng, (2, 6)), 1 - inside, grain)
    _scatter(canvas, rng, "inflammatory", between(rng, (0, 2)))


def _infiltrate(canvas: Canvas, rng: Rng) -> None:
    """Lymphocytes at the border of a tumour."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.5, 0.8)), between(rng, (0.5, 1)))
    inside = np.clip(_side(canvas, rng, grain, between(rng, (0.2, 0.5))), 0, 1)
    cytoplasm(canvas, rng, inside, between(rng, (0.12, 0.4)), between(rng, (0.25, 0.5)))
    _scatter(canvas, rng, "neoplastic", 11, inside, None, between(rng, (0.8, 1.05)))
    _scatter(canvas, rng, "inflammatory", between(rng, (7, 15)), 1 - 0.9 * inside)
    _scatter(canvas, rng, "connective", between(rng, (1, 4)), 1 - inside, grain)


def _duct(canvas: Canvas, rng: Rng) -> None:
    """A duct or lobule: rows of epithelial cells around a lumen, stroma outside."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.5, 0.9)), between(rng, (0.1, 0.8)))
    size = canvas.size
    for _ in range(max(1, round(size.y * size.x / 2000))):
        centre = Vector(size.y * between(rng, (0.2, 0.8)), size.x * between(rng, (0.2, 0.8)))
        _gland(canvas, rng, "epithelial", centre, between(rng, (0, 9)), int(between(rng, (1, 3))))
    _scatter(canvas, rng, "connective", between(rng, (3, 6)), np.where(canvas.haematoxylin > 0.3, 0.0, 1.0), grain)
    _scatter(canvas, rng, "inflammatory", between(rng, (0, 2.5)))


def _fibrous(canvas: Canvas, rng: Rng) -> None:
    """Stroma with fibroblasts, sometimes fat or a vessel with red cells."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.5, 1.1)), between(rng, (0, 1)))
    if rng.random() < 0.5:
        _holes(canvas, rng, between(rng, (1, 2)), (9, 18))
    if rng.random() < 0.7:
        _vessel(canvas, rng)
    _scatter(canvas, rng, "connective", between(rng, (4, 9)), None, grain)
    _scatter(canvas, rng, "inflammatory", between(rng, (0, 4)))


def _crypts(canvas: Canvas, rng: Rng) -> None:
    """What no breast looks like: tall cells with goblets of mucus around crypts, in cellular stroma."""
    grain = direction(rng)
    stroma(canvas, rng, grain, between(rng, (0.3, 0.5)), 1.0)
    size = canvas.size
    cytoplasm(canvas, rng, np.ones(canvas.instances.shape), 0.3, 0.2)
    _holes(canvas, rng, 5, (1.5, 3.5))
    for _ in range(max(1, round(size.y * size.x / 1000))):
        centre = Vector(size.y * between(rng, (0, 1)), size.x * between(rng, (0, 1)))
        _gland(canvas, rng, "epithelial", centre, between(rng, (8, 14)), 1)
    _scatter(canvas, rng, "inflammatory", between(rng, (3, 8)))
    _scatter(canvas, rng, "connective", 2, None, grain)
    if rng.random() < 0.5:
        _one(canvas, rng, "dead")
        _scatter(canvas, rng, "neoplastic", 3)


BREAST_SCENES = (_tumour, _tumour, _duct, _infiltrate, _tumour, _duct, _fibrous, _duct)


def _gland(canvas: Canvas, rng: Rng, kind: str, centre: Vector, lumen: float, layers: int) -> None:
    """Rings of nuclei around a lumen of so many µm radius."""
    thick = 5 + 5.5 * layers
    cytoplasm(
        canvas, rng, blob(canvas, rng, centre, lumen + thick, 0.25), between(rng, (0.1, 0.3)), between(rng, (0.3, 0.5))
    )
    hole(canvas, blob(canvas, rng, centre, lumen, 0.5))
    for layer in range(layers):
        radius = lumen + 5.5 + 5.5 * layer
        step = between(rng, (4.6, 6.2)) / radius / 2  # the tangent of half the angle between neighbours
        turn = Vector(2 * step / (1 + step * step), (1 - step * step) / (1 + step * step))
        at = direction(rng)
        for _ in range(int(3.1 / step)):
            at = Vector(at.y * turn.x + at.x * turn.y, at.x * turn.x - at.y * turn.y)
            far = radius + between(rng, (-1.2, 1.2))
            axis = at if layer == 0 or rng.random() < 0.5 else direction(rng)
            paint_nucleus(canvas, rng, kind, Vector(centre.y + at.y * far, centre.x + at.x * far), axis)


def _vessel(canvas: Canvas, rng: Rng) -> None:
    """A small vessel with red cells, which are pink and have no nucleus."""
    size = canvas.size
    centre = Vector(size.y * float(rng.random()), size.x * float(rng.random()))
    hole(canvas, blob(canvas, rng, centre, between(rng, (4, 7)), 0.4))
    for _ in range(int(between(rng, (3, 9)))):
        away, far = direction(rng), between(rng, (0, 4))
        cell = blob(canvas, rng, Vector(centre.y + away.y * far, centre.x + away.x * far), 2.6, 0.3, 0.4)
        canvas.blend(cell, 0.03, between(rng, (0.5, 1.2)))


def _side(canvas: Canvas, rng: Rng, grain: Vector, share: float) -> Field:
    """Distance in µm into the part of the canvas on one side of an uneven line along `grain`; negative outside."""
    size = canvas.size
    y, x = canvas.from_point(Vector(size.y / 2, size.x / 2))
    across = x * grain.y - y * grain.x
    return across + (share - 0.5) * size.x + 10 * (canvas.noise(rng, 10) - 0.5)


def _scatter(
    canvas: Canvas,
    rng: Rng,
    kind: str,
    density: float,
    where: Field | None = None,
    axis: Vector | None = None,
    scale: float = 1.0,
) -> None:
    """Throw nuclei at random places, `density` for 1,000 µm², onto where `where` allows it with its probability."""
    size, (rows, columns) = canvas.size, canvas.instances.shape
    wanted = density * size.y * size.x / 1000
    for _ in range(int(wanted * 2.5 + rng.random())):
        down, right, chance = (float(value) for value in rng.random(3))
        if where is not None and chance >= where[int(down * rows), int(right * columns)]:
            continue
        along = direction(rng)
        if axis is not None:  # mostly along the fibres
            along = _towards(axis, along, 0.25)
        if paint_nucleus(canvas, rng, kind, Vector(down * size.y, right * size.x), along, scale):
            wanted -= 1
        if wanted < 0.5:
            return


def _one(canvas: Canvas, rng: Rng, kind: str) -> None:
    """Put one nucleus where there is room, well inside the canvas."""
    size = canvas.size
    for _ in range(200):
        centre = Vector(size.y * between(rng, (0.1, 0.9)), size.x * between(rng, (0.1, 0.9)))
        if paint_nucleus(canvas, rng, kind, centre, direction(rng)):
            return


def _towards(axis: Vector, other: Vector, share: float) -> Vector:
    """`axis`, turned a little towards another direction."""
    y, x = axis.y + share * other.y, axis.x + share * other.x
    length = math.sqrt(y * y + x * x)
    return Vector(y / length, x / length)


def _holes(canvas: Canvas, rng: Rng, count: float, radius: tuple[float, float]) -> None:
    """Bare round places, `count` for 1,000 µm²."""
    size = canvas.size
    for _ in range(int(count * size.y * size.x / 1000 + rng.random())):
        centre = Vector(size.y * float(rng.random()), size.x * float(rng.random()))
        hole(canvas, blob(canvas, rng, centre, between(rng, radius), 0.3))


# ----------------------------------------------------------------------------------------------------------- sheet

COLOURS = ((230, 30, 30), (30, 170, 30), (30, 60, 230), (240, 210, 0), (255, 130, 0))


def draw_sheet(path: Path, sample: Sample, rows: int = 4, columns: int = 6) -> None:
    """A picture of tiles of the first fold, each beside itself with its nuclei outlined in the colour of their class."""
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
    Image.fromarray(np.vstack(lines)).save(path, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw a contact sheet of the sample.")
    parser.add_argument("--sheet", type=Path, required=True, metavar="FILE")
    draw_sheet(parser.parse_args().sheet, read_params().sample)
