"""What a slide's tags tell of its resolution, whether that can be, and what goes before them.

Tags are often wrong by ten, mean a printer, or tell of another level. What cannot be is refused, and an explicit
resolution always wins: nothing of both is passed over in silence.
"""

from collections.abc import Mapping
from pathlib import Path

import openslide

from pipeline.base.errors import Problem

FINEST, COARSEST = 0.1, 2.0  # µm/px at which tissue is scanned: 100x to 5x
PRINTER = 10.0  # µm/px; what tags tell beyond it is a printer's resolution (72 dpi is 353 µm/px), and so nothing
SQUARE = 0.05  # part by which a pixel's width and height, or tags and what is given, may differ
PRODUCT = 10.0  # of µm/px and magnification, on the common scanners
LEEWAY = 5.0  # times which it may be more or less, as cameras and adapters differ
PARAMETER = "tiling.slide_microns_per_pixel"


def find_resolution(
    path: Path, tags: Mapping[str, str], given: float | None, parameter: str = PARAMETER
) -> tuple[float, float]:
    """Microns per pixel and magnification of a slide's full resolution.

    Args:
        path: of the slide, for what is said.
        tags: OpenSlide's properties.
        given: microns per pixel that go before the tags; that is printed where they differ by more than 5 %.
        parameter: what a person gives it by.

    Raises:
        Problem: nothing is given, and the tags tell nothing or what cannot be.
    """
    power = _number(tags, openslide.PROPERTY_NAME_OBJECTIVE_POWER)
    told, wrong = _told(tags, power)
    if given is None:
        if wrong:
            raise Problem(f"{path} {wrong}; give the right µm/px of its full resolution in {parameter}.")
        if told is None:
            raise Problem(f"{path} does not tell its resolution; give it in {parameter} if the slides share it.")
        return told, power or PRODUCT / told
    if told and abs(given / told - 1) > SQUARE:
        wrong = f"tells {told:.4g} µm/px"
    if wrong:
        print(f"{path} {wrong}; {parameter} goes before it: {given:.4g} µm/px")
    return given, power if power and _fits(given, power) else PRODUCT / given


def _told(tags: Mapping[str, str], power: float | None) -> tuple[float | None, str]:
    """What the tags tell, and what of it cannot be, as a clause."""
    named = (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y)
    sides = [side for side in (_number(tags, name) for name in named) if side is not None]
    if not sides or all(side > PRINTER for side in sides):
        if power is None or FINEST <= PRODUCT / power <= COARSEST:
            return (PRODUCT / power if power else None), ""
        return None, f"tells a magnification of {power:g}, at which no slide is scanned"
    pixel = " x ".join(f"{side:.4g}" for side in dict.fromkeys(sides))
    if not all(FINEST <= side <= COARSEST for side in sides):
        return None, f"tells {pixel} µm/px, where slides have {FINEST:g} to {COARSEST:g}"
    if max(sides) > min(sides) * (1 + SQUARE):
        return None, f"tells pixels of {pixel} µm, which are no squares"
    told = sum(sides) / len(sides)
    if power and not _fits(told, power):
        return None, f"tells {told:.4g} µm/px and a magnification of {power:g}, which contradict each other"
    return told, ""


def _fits(pixel: float, power: float) -> bool:
    return PRODUCT / LEEWAY < pixel * power < PRODUCT * LEEWAY


def _number(tags: Mapping[str, str], tag: str) -> float | None:
    """The number in a tag, which may be NaN or negative; nothing where it is none. A magnification of 0 is none."""
    try:
        value = float(tags[tag])
    except (KeyError, ValueError):
        return None
    return value if tag != openslide.PROPERTY_NAME_OBJECTIVE_POWER or 0 < value < float("inf") else None
