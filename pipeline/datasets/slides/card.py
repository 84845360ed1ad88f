"""What is known of whole slides of one's own before a file of them is there: what params.yaml says."""

from pipeline.base.params import Slides
from pipeline.base.schema import Block
from pipeline.datasets import Card

AT_10X = 1.0  # µm/px
USUAL = 0.25  # µm/px, where params.yaml leaves it to the slides
SUFFIXES = frozenset({".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".svslide", ".bif", ".vms", ".vmu"})


class NoSample(Block):
    """Nothing is drawn."""


def card(name: str, settings: Slides) -> Card:
    """The card of a data set of this kind."""
    microns = settings.tiling.microns_per_pixel or settings.tiling.slide_microns_per_pixel or USUAL
    return Card(
        name=name,
        title=name,
        licence="yours",
        licence_url="",
        citation="",
        homepage="",
        classes=tuple(settings.classes),
        groups=(),
        official_splits={},
        microns_per_pixel=microns,
        magnification=10 * AT_10X / microns,
        files=(),
        nuclei=False,
        sample=NoSample,
        slides=SUFFIXES,
    )
