"""The tile that a package shows its model on: always drawn, so that no licence of a data set binds it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.base.records import Model
from pipeline.drawing import scenes
from pipeline.drawing.canvas import Canvas
from pipeline.drawing.stain import photograph_patient
from pipeline.packages.formats import Found

SEED = 7
# Okabe and Ito's colours by class code, told apart with any colour vision; they repeat after the seventh.
COLOURS = np.array(
    [
        [0, 0, 0],
        [213, 94, 0],
        [0, 158, 115],
        [0, 114, 178],
        [230, 159, 0],
        [86, 180, 233],
        [204, 121, 167],
        [240, 228, 66],
    ],
    np.uint8,
)


def draw(record: Model, height: int, width: int, number: int = 0) -> npt.NDArray[np.uint8]:
    """A drawn tumour at the model's resolution, (1, height, width, 3); the same `number`, the same bytes."""
    canvas = Canvas.blank(height, width, record.microns_per_pixel)
    rng, patient = np.random.default_rng([SEED, number]), np.random.default_rng([SEED, number, 1])
    scenes.tumour(canvas, rng)
    return photograph_patient(canvas, rng, patient)[None]


def write_example(images: npt.NDArray[np.uint8], found: Found, folder: Path) -> None:
    """Write example.npz, `images` and what the model finds in them, and example.png for the eye."""
    with (folder / "example.npz").open("wb") as file:
        np.savez_compressed(file, images=images, **found)  # type: ignore[arg-type] # takes `allow_pickle`, too
    shown = [images[0]]
    if "class_map" in found:
        shown.append(COLOURS[found["class_map"][0].astype(np.int64) % len(COLOURS)])
    elif "masks" in found:
        seen = np.zeros_like(images[0])
        for label, mask in zip(found["labels"], found["masks"], strict=True):
            seen[mask.astype(np.float64) >= 0.5] = COLOURS[int(label) % len(COLOURS)]
        shown.append(seen)
    Image.fromarray(np.hstack(shown)).save(folder / "example.png")
