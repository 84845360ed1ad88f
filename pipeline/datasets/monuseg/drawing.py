"""Draw the sample of MoNuSeg in its own format; what holds for every drawing is said in pipeline/drawing/__init__.py.

Pixels and coordinates are the same on every machine; so are the files, as long as Pillow is the one of the lock file.
"""

from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.datasets.monuseg.card import CARD, ORGAN_OF, ORGANS, Sample
from pipeline.drawing import scenes
from pipeline.drawing.canvas import Canvas
from pipeline.drawing.stain import photograph_patient

GLANDULAR = ("Kidney", "Prostate", "Colon", "Stomach")
BORDER = 1.25  # px by which outlines that reach the border leave the image
SWOLLEN_EVERY = 4  # outlines, one is drawn too wide, so that it overlaps its neighbours
OVERSIZE = 1.5  # px by which it is


def draw(folder: Path, seed: int, settings: Sample) -> None:
    """Write `Tissue Images/<name>.tif` (RGB, LZW) and `Annotations/<name>.xml` (ImageScope's outlines).

    The names are MoNuSeg's own, an organ after the other, beginning with breast. The first annotation has a region of
    two vertices, and each a negative one.
    """
    from PIL import Image

    (folder / "Tissue Images").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    names = [name for name in chain.from_iterable(zip_longest(*ORGANS.values())) if name]
    for index, name in enumerate(names[: settings.images]):
        scene = scenes.crypts if ORGAN_OF[name] in GLANDULAR else scenes.BREAST[index % len(scenes.BREAST)]
        canvas, rng = (
            Canvas.blank(settings.tile_size, settings.tile_size, CARD.microns_per_pixel),
            np.random.default_rng([seed, 102, index, 0]),
        )
        scene(canvas, rng)
        pixels, instances = photograph_patient(canvas, rng, np.random.default_rng([seed, 102, index])), canvas.instances
        Image.fromarray(pixels).save(folder / "Tissue Images" / f"{name}.tif", compression="tiff_lzw")
        regions = [(outline, False) for outline in outlines(instances)]
        if index == 0:
            regions.insert(0, (regions[0][0][:2], False))
        regions.append((_hole(instances), True))
        (folder / "Annotations" / f"{name}.xml").write_bytes(imagescope(regions).encode())


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
    lines = [f'<Annotations MicronsPerPixel="{CARD.microns_per_pixel:.6f}">', '<Annotation Id="1" Name="" Type="4">']
    lines.append("<Regions>")
    for number, (ring, negative) in enumerate(regions, start=1):
        lines.append(f'<Region Id="{number}" Type="0" Zoom="1" NegativeROA="{negative:d}" DisplayId="{number}">')
        lines += ["<Vertices>", *(f'<Vertex X="{x:.6f}" Y="{y:.6f}"/>' for x, y in ring), "</Vertices>", "</Region>"]
    return "\n".join([*lines, "</Regions>", "</Annotation>", "</Annotations>", ""])
