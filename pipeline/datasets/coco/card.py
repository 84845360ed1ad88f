"""What is known of images and instances of one's own before a file of them is there: what params.yaml says."""

from pipeline.base.params import Coco
from pipeline.datasets import Card, own_card


def card(name: str, settings: Coco) -> Card:
    """The card of a data set of this kind."""
    return own_card(name, settings.classes, settings.microns_per_pixel)
