"""What is known of images and masks of one's own before a file of them is there: what params.yaml says."""

from pipeline.base.params import Masks
from pipeline.datasets import Card, own_card


def card(name: str, settings: Masks) -> Card:
    """The card of a data set of this kind."""
    return own_card(name, settings.classes, settings.microns_per_pixel, nuclei=settings.nuclei)
