"""What is known of the data set before a file of it is there."""

from pydantic import Field

from pipeline.base.schema import Block
from pipeline.datasets import Card

SIDES = {"anna": "train", "berta": "validation", "clara": "test"}


class Sample(Block):
    """How its sample is drawn."""

    tiles: int = Field(ge=1)  # of each patient


CARD = Card(
    name="seventh",
    title="Seventh",
    licence="CC0 1.0",
    licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
    citation="none",
    homepage="https://example.org",
    classes=("background", "nucleus"),
    groups=(),
    official_splits={1: SIDES},
    microns_per_pixel=0.25,
    magnification=40.0,
    files=(),
    sample=Sample,
)
