"""What is known of whole slides of one's own before a file of them is there: what params.yaml says."""

from pipeline.base.params import Slides
from pipeline.datasets import Card, own_card

USUAL = 0.25  # µm/px, where params.yaml leaves it to the slides
SUFFIXES = frozenset({".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".svslide", ".bif", ".vms", ".vmu"})


def card(name: str, settings: Slides) -> Card:
    """The card of a data set of this kind."""
    microns = settings.tiling.microns_per_pixel or settings.tiling.slide_microns_per_pixel or USUAL
    return own_card(name, settings.classes, microns, nuclei=False, slides=SUFFIXES)
