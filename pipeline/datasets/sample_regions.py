"""Draw the samples of BCSS and BACH, each in its own format; what holds for them is said in sample.py.

Pixels are the same on every machine; so are the files, as long as Pillow is the one of the lock file.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.datasets import bach, bcss
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
SCENES = {"Normal": lesions.normal, "Benign": lesions.benign, "InSitu": lesions.in_situ, "Invasive": lesions.invasive}
IMAGES_OF_A_PATIENT = 2


def draw_bcss(folder: Path, seed: int, height: int, regions: int) -> None:
    """Write `rgbs_colorNormalized/<region>.png` (RGB) and `masks/<region>.png` (L, codes 0 to 21).

    The scan was cut askew: a corner of each region lies outside and has code 0.

    Args:
        height: of a region, px; BCSS's have 1,000 to 8,000.
        regions: number of them, at most 12; each is of another patient.
    """
    from PIL import Image

    for place in ("rgbs_colorNormalized", "masks"):
        (folder / place).mkdir(parents=True)
    for index, name in enumerate(REGIONS[:regions]):
        first = RARE_FIELDS * (index + index // 3)  # so that each side of the split meets all of them
        rare = tuple(RARE[(first + step) % len(RARE)] for step in range(RARE_FIELDS))
        tissues = ("tumor", "stroma", *rare, "tumor", "stroma")
        rng = np.random.default_rng([seed, 103, index])
        canvas = Canvas.blank(height, int(LONGER * height), bcss.MICRONS_PER_PIXEL)
        places = lesions.mosaic(canvas, rng, tissues)
        codes = np.array([bcss.CLASSES.index(tissue) + 1 for tissue in tissues])[places].astype(np.uint8)
        y, x = canvas.from_point(canvas.size)
        codes[y + x > -between(rng, (0.3, 0.7)) * canvas.size.y] = bcss.OUTSIDE
        pixels = photograph(canvas, rng, Stain.random(rng), between(rng, (0.3, 1.2)))
        for place, drawn in (("rgbs_colorNormalized", pixels), ("masks", codes)):
            # stored, not packed: how zlib packs depends on the machine
            Image.fromarray(drawn).save(folder / place / f"{name}_MPP-0.2500.png", compress_level=0)


def draw_bach(folder: Path, seed: int, width: int, images: int) -> None:
    """Write `ICIAR2018_BACH_Challenge/Photos/<Class>/<n|b|is|iv>001.tif` (RGB) and the ground truth.

    Patients are written down for every image but the last of a class, as the challenge knows a part of them.

    Args:
        width: px; BACH's images have 2048 x 1536, drawn ones the same shape.
        images: of each class; BACH has 100.
    """
    from PIL import Image

    photos = folder / "ICIAR2018_BACH_Challenge" / "Photos"
    truth, patients = [], ["file,patient"]
    for kind, (label, prefix) in enumerate(bach.PREFIXES.items()):
        (photos / label).mkdir(parents=True)
        for index in range(images):
            patient = kind * 1000 + index // IMAGES_OF_A_PATIENT
            name = f"{prefix}{index + 1:03}.tif"
            Image.fromarray(_photo(label, width, [seed, 104, patient], index)).save(photos / label / name)
            truth.append(f"{name},{label}")
            if index + 1 < images:
                patients.append(f"{name},{patient}")
    (photos / bach.TRUTH).write_bytes("".join(f"{line}\n" for line in truth).encode())
    (photos / "patients.csv").write_bytes("".join(f"{line}\n" for line in patients).encode())


def _photo(label: str, width: int, patient: list[int], index: int) -> npt.NDArray[np.uint8]:
    """An image (3/4 width, width, 3) in its patient's stain."""
    look = np.random.default_rng(patient)
    stain, sharpness = Stain.random(look), between(look, (0.2, 0.6))
    rng = np.random.default_rng([*patient, index])
    canvas = Canvas.blank(width * 3 // 4, width, bach.MICRONS_PER_PIXEL)
    SCENES[label](canvas, rng)
    return photograph(canvas, rng, stain, sharpness + between(rng, (0, 0.6)))
