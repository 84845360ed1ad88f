"""Draw the sample of BACH in its own format; what holds for every drawing is said in pipeline/drawing/__init__.py.

Pixels are the same on every machine; so are the files, as long as Pillow is the one of the lock file.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.datasets.bach.card import CARD, Sample
from pipeline.datasets.bach.reader import PREFIXES, TRUTH
from pipeline.drawing import lesions
from pipeline.drawing.canvas import Canvas
from pipeline.drawing.stain import photograph_patient

SCENES = {"Normal": lesions.normal, "Benign": lesions.benign, "InSitu": lesions.in_situ, "Invasive": lesions.invasive}
IMAGES_OF_A_PATIENT = 2


def draw(folder: Path, seed: int, settings: Sample) -> None:
    """Write `ICIAR2018_BACH_Challenge/Photos/<Class>/<n|b|is|iv>001.tif` (RGB) and the ground truth.

    Patients are written down for every image but the last of a class, as the challenge knows a part of them.
    """
    from PIL import Image

    photos = folder / "ICIAR2018_BACH_Challenge" / "Photos"
    truth, patients = [], ["file,patient"]
    for kind, (label, prefix) in enumerate(PREFIXES.items()):
        (photos / label).mkdir(parents=True)
        for index in range(settings.images):
            patient = kind * 1000 + index // IMAGES_OF_A_PATIENT
            name = f"{prefix}{index + 1:03}.tif"
            Image.fromarray(_photo(label, settings.width, [seed, 104, patient], index)).save(photos / label / name)
            truth.append(f"{name},{label}")
            if index + 1 < settings.images:
                patients.append(f"{name},{patient}")
    (photos / TRUTH).write_bytes("".join(f"{line}\n" for line in truth).encode())
    (photos / "patients.csv").write_bytes("".join(f"{line}\n" for line in patients).encode())


def _photo(label: str, width: int, patient: list[int], index: int) -> npt.NDArray[np.uint8]:
    """An image (3/4 width, width, 3) in its patient's stain."""
    rng = np.random.default_rng([*patient, index])
    canvas = Canvas.blank(width * 3 // 4, width, CARD.microns_per_pixel)
    SCENES[label](canvas, rng)
    return photograph_patient(canvas, rng, np.random.default_rng(patient), (0.2, 0.6), 0.6)
