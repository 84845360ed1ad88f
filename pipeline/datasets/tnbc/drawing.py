"""Draw the sample of TNBC in its own format; what holds for every drawing is said in pipeline/drawing/__init__.py.

Pixels are the same on every machine; so are the files, as long as Pillow is the one of the lock file.
"""

import math
from pathlib import Path

import numpy as np

from pipeline.datasets.tnbc.card import CARD, Sample
from pipeline.drawing import scenes
from pipeline.drawing.canvas import Canvas
from pipeline.drawing.stain import photograph_patient

IMAGES = (7, 3, 5, 8, 4, 3, 3, 4, 6, 4, 3)  # of each patient
RGB_PATIENTS = (3, 11)  # whose images have no alpha channel, as a few of TNBC


def draw(folder: Path, seed: int, settings: Sample) -> None:
    """Write `Slide_NN/NN_k.png` (RGBA or RGB) and `GT_NN/NN_k.png` (L, 0 or 255: touching nuclei are merged)."""
    from PIL import Image

    for patient, images in enumerate(IMAGES, start=1):
        for place in ("Slide", "GT"):
            (folder / f"{place}_{patient:02}").mkdir(parents=True)
        for number in range(1, math.ceil(round(settings.share * images, 9)) + 1):
            scene = scenes.BREAST[(patient + number) % len(scenes.BREAST)]
            canvas = Canvas.blank(settings.tile_size, settings.tile_size, CARD.microns_per_pixel)
            rng = np.random.default_rng([seed, 101, patient, number])
            scene(canvas, rng)
            picture = Image.fromarray(photograph_patient(canvas, rng, np.random.default_rng([seed, 101, patient])))
            if patient not in RGB_PATIENTS:
                picture.putalpha(255)
            mask = Image.fromarray(np.where(canvas.instances > 0, 255, 0).astype(np.uint8))
            for drawn, place in ((picture, "Slide"), (mask, "GT")):
                # stored, not packed: how zlib packs depends on the machine
                drawn.save(folder / f"{place}_{patient:02}" / f"{patient:02}_{number}.png", compress_level=0)
