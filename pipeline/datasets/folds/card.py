"""What is known of tiles of one's own in PanNuke's layout before a file of them is there: what params.yaml says."""

from pipeline.base.params import Folds
from pipeline.datasets import Card, own_card


def card(name: str, settings: Folds) -> Card:
    """The card of a data set of this kind: the first fold is tested on, the second one validates, the others train."""
    folds = settings.names
    sides = dict.fromkeys(folds, "train") | {folds[0]: "test"}
    if len(folds) > 2:
        sides[folds[1]] = "validation"
    return own_card(name, settings.classes, settings.microns_per_pixel, official_splits={1: sides})
