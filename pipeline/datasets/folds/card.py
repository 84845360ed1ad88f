"""What is known of tiles of one's own in PanNuke's layout before a file of them is there: what params.yaml says."""

from pipeline.base.params import Folds
from pipeline.base.schema import Block
from pipeline.datasets import Card

AT_10X = 1.0  # µm/px


class NoSample(Block):
    """Nothing is drawn."""


def card(name: str, settings: Folds) -> Card:
    """The card of a data set of this kind: the first fold is tested on, the second one validates, the others train."""
    folds = settings.names
    sides = dict.fromkeys(folds, "train") | {folds[0]: "test"}
    if len(folds) > 2:
        sides[folds[1]] = "validation"
    return Card(
        name=name,
        title=name,
        licence="yours",
        licence_url="",
        citation="",
        homepage="",
        classes=tuple(settings.classes),
        groups=(),
        official_splits={1: sides},
        microns_per_pixel=settings.microns_per_pixel,
        magnification=10 * AT_10X / settings.microns_per_pixel,
        files=(),
        sample=NoSample,
    )
