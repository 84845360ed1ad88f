"""What is known of BRACS before a file of it is there (docs/datasets/bracs.md)."""

from pydantic import Field

from pipeline.base.schema import Block
from pipeline.datasets import Card

SIDES = ("train", "validation", "test")


class Sample(Block):
    """How its sample is drawn."""

    size: int = Field(ge=1024, le=8192, multiple_of=512)  # px a side of a slide


CARD = Card(
    name="bracs",
    title="BRACS",
    licence="not settled: said to be CC0 and to be non-commercial; treat as non-commercial",
    licence_url="https://www.bracs.icar.cnr.it/",
    citation=(
        "Brancati N, Anniciello AM, Pati P, et al. BRACS: a dataset for breast carcinoma subtyping in H&E histology"
        " images. Database, 2022, baac093."
    ),
    homepage="https://www.bracs.icar.cnr.it/",
    classes=("background", "N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC"),
    groups=(*SIDES, ""),  # the group of a tile is its slide's part of the official split
    official_splits={1: {side: side for side in SIDES}},  # by slide, as the table or its folder tells
    microns_per_pixel=0.25,
    magnification=40.0,
    files=(),  # behind a registration: no address to download from
    sample=Sample,
    slides=frozenset({".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".svslide", ".bif", ".vms", ".vmu"}),
)
