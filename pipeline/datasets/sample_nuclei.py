"""Draw the samples of TNBC and MoNuSeg, each in its own format; what holds for them is said in sample.py.

Pixels and coordinates are the same on every machine; so are the files, as long as Pillow is the one of the lock file.
"""

import math
from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.datasets.monuseg import ORGANS
from pipeline.drawing import scenes
from pipeline.drawing.canvas import Canvas, Rng, between
from pipeline.drawing.stain import Stain, photograph

TNBC_IMAGES = (7, 3, 5, 8, 4, 3, 3, 4, 6, 4, 3)  # of each patient
RGB_PATIENTS = (3, 11)  # whose images have no alpha channel, as a few of TNBC
MICRONS_PER_PIXEL = 0.25
GLANDULAR = ("Kidney", "Prostate", "Colon", "Stomach")
BORDER = 1.25  # px by which outlines that reach the border leave the image
SWOLLEN_EVERY = 4  # outlines, one is drawn too wide, so that it overlaps its neighbours
OVERSIZE = 1.5  # px by which it is


def draw_tnbc(folder: Path, seed: int, tile_size: int, share: float) -> None:
    """Write `Slide_NN/NN_k.png` (RGBA or RGB) and `GT_NN/NN_k.png` (L, 0 or 255: touching nuclei are merged).

    Args:
        tile_size: px a side; TNBC's images have 512.
        share: of TNBC's images that each of the 11 patients gets, at least one.
    """
    from PIL import Image

    for patient, images in enumerate(TNBC_IMAGES, start=1):
        for place in ("Slide", "GT"):
            (folder / f"{place}_{patient:02}").mkdir(parents=True)
        for number in range(1, math.ceil(round(share * images, 9)) + 1):
            scene = scenes.BREAST[(patient + number) % len(scenes.BREAST)]
            pixels, instances = _picture(scene, tile_size, [seed, 101, patient], number)
            picture = Image.fromarray(pixels)
            if patient not in RGB_PATIENTS:
                picture.putalpha(255)
            mask = Image.fromarray(np.where(instances > 0, 255, 0).astype(np.uint8))
            for drawn, place in ((picture, "Slide"), (mask, "GT")):
                # stored, not packed: how zlib packs depends on the machine
                drawn.save(folder / f"{place}_{patient:02}" / f"{patient:02}_{number}.png", compress_level=0)


def draw_monuseg(folder: Path, seed: int, tile_size: int, images: int) -> None:
    """Write `Tissue Images/<name>.tif` (RGB, LZW) and `Annotations/<name>.xml` (ImageScope's outlines).

    The names are MoNuSeg's own, an organ after the other, beginning with breast. The first annotation has a region of
    two vertices, and each a negative one.

    Args:
        tile_size: px a side; MoNuSeg's images have 1000.
        images: number of them, at most 30.
    """
    from PIL import Image

    (folder / "Tissue Images").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    names = [name for name in chain.from_iterable(zip_longest(*ORGANS.values())) if name]
    organ_of = {name: organ for organ, named in ORGANS.items() for name in named}
    for index, name in enumerate(names[:images]):
        scene = scenes.crypts if organ_of[name] in GLANDULAR else scenes.BREAST[index % len(scenes.BREAST)]
        pixels, instances = _picture(scene, tile_size, [seed, 102, index], 0)
        Image.fromarray(pixels).save(folder / "Tissue Images" / f"{name}.tif", compression="tiff_lzw")
        regions = [(outline, False) for outline in outlines(instances)]
        if index == 0:
            regions.insert(0, (regions[0][0][:2], False))
        regions.append((_hole(instances), True))
        (folder / "Annotations" / f"{name}.xml").write_bytes(imagescope(regions).encode())


def _picture(
    scene: Callable[[Canvas, Rng], None], size: int, patient: list[int], number: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """An image (S, S, 3) in its patient's stain, and its instance map (S, S)."""
    look = np.random.default_rng(patient)
    stain, sharpness = Stain.random(look), between(look, (0.3, 1.0))
    rng = np.random.default_rng([*patient, number])
    canvas = Canvas.blank(size, size, MICRONS_PER_PIXEL)
    scene(canvas, rng)
    return photograph(canvas, rng, stain, sharpness + between(rng, (0, 1))), canvas.instances


def outlines(instances: npt.NDArray[np.int32]) -> Iterator[npt.NDArray[np.float64]]:
    """The outline of each nucleus, (N, 2) x and y in px, through the middles of its border pixels' sides.

    What lies inside is the nucleus again (its largest piece, holes filled), but for the swollen ones, which come first.
    """
    from skimage.measure import find_contours

    numbers = np.unique(instances[instances > 0])
    for number in sorted(numbers, key=lambda number: number % SWOLLEN_EVERY > 0):
        ring = max(find_contours(np.pad(instances == number, 1).astype(float), 0.5), key=len)[:-1, ::-1] - 0.5
        if number % SWOLLEN_EVERY == 0:
            away = ring - (ring.min(axis=0) + ring.max(axis=0)) / 2
            ring = ring + OVERSIZE * away / np.sqrt(away[:, :1] * away[:, :1] + away[:, 1:] * away[:, 1:])
        ring[ring <= 0] = -BORDER
        ring[ring >= len(instances)] = len(instances) + BORDER
        yield ring


def _hole(instances: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """A square of 3 px in the middle of the largest nucleus."""
    numbers, areas = np.unique(instances[instances > 0], return_counts=True)
    rows, columns = np.nonzero(instances == numbers[areas.argmax()])
    x, y = columns[len(columns) // 2], rows[len(rows) // 2]
    return np.array([[x - 1, y - 1], [x + 2, y - 1], [x + 2, y + 2], [x - 1, y + 2]], np.float64)


def imagescope(regions: list[tuple[npt.NDArray[np.float64], bool]]) -> str:
    """Outlines, each with whether it is negative, as the XML of Aperio ImageScope."""
    lines = [f'<Annotations MicronsPerPixel="{MICRONS_PER_PIXEL:.6f}">', '<Annotation Id="1" Name="" Type="4">']
    lines.append("<Regions>")
    for number, (ring, negative) in enumerate(regions, start=1):
        lines.append(f'<Region Id="{number}" Type="0" Zoom="1" NegativeROA="{negative:d}" DisplayId="{number}">')
        lines += ["<Vertices>", *(f'<Vertex X="{x:.6f}" Y="{y:.6f}"/>' for x, y in ring), "</Vertices>", "</Region>"]
    return "\n".join([*lines, "</Regions>", "</Annotation>", "</Annotations>", ""])
