"""What is known of BCSS before a file of it is there (docs/datasets/bcss.md)."""

from pydantic import Field

from pipeline.base.schema import Block
from pipeline.datasets import Card

# fmt: off
CLASSES = (  # code in the masks - 1
    "tumor", "stroma", "lymphocytic_infiltrate", "necrosis_or_debris", "glandular_secretions", "blood", "exclude",
    "metaplasia_NOS", "fat", "plasma_cells", "other_immune_infiltrate", "mucoid_material", "normal_acinus_or_duct",
    "lymphatics", "undetermined", "nerve", "skin_adnexa", "blood_vessel", "angioinvasion", "dcis", "other",
)
INSTITUTIONS = {  # that took the tissue, by side of the split: 76, 30 and 45 regions
    "train": ("A2", "A7", "AC", "AN", "AO", "AQ", "AR", "D8", "GI", "HN"),
    "validation": ("BH", "C8", "A8", "A1", "E9"),
    "test": ("OL", "LL", "E2", "EW", "GM", "S3"),
}
# fmt: on
SIDE_OF = {institution: side for side, named in INSTITUTIONS.items() for institution in named}


class Sample(Block):
    """How its sample is drawn."""

    height: int = Field(ge=224, le=8000)  # px, of a region; BCSS's have 1,000 to 8,000
    regions: int = Field(ge=3, le=12)


CARD = Card(
    name="bcss",
    title="BCSS",
    licence="CC0 1.0",
    licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
    citation=(
        "Amgad M, Elfandy H, Hussein H, Atteya LA, Elsebaie MAT, Abo Elnasr LS, et al. Structured crowdsourcing enables"
        " convolutional segmentation of histology images. Bioinformatics 35(18), 2019."
    ),
    homepage="https://github.com/PathologyDataScience/BCSS",
    classes=CLASSES,
    groups=tuple(sorted(SIDE_OF)),  # institutions
    official_splits={1: SIDE_OF},
    microns_per_pixel=0.25,
    magnification=40.0,
    files=(),  # a folder of Google Drive, which a program cannot fetch as one file
    sample=Sample,
)
