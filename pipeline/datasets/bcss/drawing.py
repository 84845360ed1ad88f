"""Draw the sample of BCSS in its own format; what holds for every drawing is said in pipeline/drawing/__init__.py.

Pixels are the same on every machine; so are the files, as long as Pillow is the one of the lock file.
"""

from pathlib import Path

import numpy as np

from pipeline.datasets.bcss.card import CARD, Sample
from pipeline.datasets.bcss.reader import OUTSIDE
from pipeline.drawing import lesions
from pipeline.drawing.canvas import Canvas, between
from pipeline.drawing.stain import Stain, photograph

REGIONS = (  # of BCSS's own: a region and a slide of each patient; the first ones have all sides of the split
    "TCGA-A2-A0YE-DX1_xmin59206_ymin33505",
    "TCGA-BH-A0BG-DX1_xmin64019_ymin24975",
    "TCGA-OL-A5D6-DX1_xmin115108_ymin40554",
    "TCGA-AR-A1AQ-DX1_xmin18171_ymin38296",
    "TCGA-A7-A0DA-DX1_xmin43731_ymin18175",
    "TCGA-E2-A14N-DX1_xmin21383_ymin66838",
    "TCGA-D8-A142-DX1_xmin62151_ymin41337",
    "TCGA-C8-A12V-DX1_xmin11056_ymin54401",
    "TCGA-EW-A1OV-DX1_xmin126026_ymin65132",
    "TCGA-A2-A0CM-DX1_xmin18562_ymin56852",
    "TCGA-LL-A5YO-DX1_xmin36631_ymin44396",
    "TCGA-AO-A0J2-DX1_xmin33561_ymin14515",
)
RARE = tuple(name for name in lesions.TISSUES if name not in ("tumor", "stroma"))
RARE_FIELDS = 3  # of a region, beside two of tumour and two of stroma
LONGER = 1.25  # width over height of a region


def draw(folder: Path, seed: int, settings: Sample) -> None:
    """Write `rgbs_colorNormalized/<region>.png` (RGB) and `masks/<region>.png` (L, codes 0 to 21).

    The scan was cut askew: a corner of each region lies outside and has code 0. Each region is of another patient.
    """
    from PIL import Image

    for place in ("rgbs_colorNormalized", "masks"):
        (folder / place).mkdir(parents=True)
    for index, name in enumerate(REGIONS[: settings.regions]):
        first = RARE_FIELDS * (index + index // 3)  # so that each side of the split meets all of them
        rare = tuple(RARE[(first + step) % len(RARE)] for step in range(RARE_FIELDS))
        tissues = ("tumor", "stroma", *rare, "tumor", "stroma")
        rng = np.random.default_rng([seed, 103, index])
        canvas = Canvas.blank(settings.height, int(LONGER * settings.height), CARD.microns_per_pixel)
        places = lesions.mosaic(canvas, rng, tissues)
        codes = np.array([CARD.classes.index(tissue) + 1 for tissue in tissues])[places].astype(np.uint8)
        y, x = canvas.from_point(canvas.size)
        codes[y + x > -between(rng, (0.3, 0.7)) * canvas.size.y] = OUTSIDE
        pixels = photograph(canvas, rng, Stain.random(rng), between(rng, (0.3, 1.2)))
        for place, drawn in (("rgbs_colorNormalized", pixels), ("masks", codes)):
            # stored, not packed: how zlib packs depends on the machine
            Image.fromarray(drawn).save(folder / place / f"{name}_MPP-0.2500.png", compress_level=0)
