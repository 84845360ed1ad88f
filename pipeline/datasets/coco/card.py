"""What is known of images and instances of one's own before a file of them is there: what params.yaml says."""

from pipeline.base.params import Coco
from pipeline.base.schema import Block
from pipeline.datasets import Card

AT_10X = 1.0  # µm/px


class NoSample(Block):
    """Nothing is drawn."""


def card(name: str, settings: Coco) -> Card:
    """The card of a data set of this kind."""
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
        microns_per_pixel=settings.microns_per_pixel,
        magnification=10 * AT_10X / settings.microns_per_pixel,
        files=(),
        sample=NoSample,
    )
