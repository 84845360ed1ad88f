"""What is known of BACH before a file of it is there (docs/datasets/bach.md)."""

from pydantic import Field

from pipeline.base.schema import Block
from pipeline.datasets import Card, RemoteFile

HOMEPAGE = "https://zenodo.org/records/3632035"


class Sample(Block):
    """How its sample is drawn."""

    width: int = Field(ge=128, le=2048, multiple_of=4)  # px; BACH's images have 2048 x 1536, drawn ones the same shape
    images: int = Field(ge=2, le=100)  # of each class; BACH has 100


CARD = Card(
    name="bach",
    title="BACH",
    licence="CC BY-NC-ND 4.0",
    licence_url="https://creativecommons.org/licenses/by-nc-nd/4.0/",
    citation=(
        "Aresta G, Araújo T, Kwok S, Chennamsetty SS, Safwan M, Alex V, et al. BACH: grand challenge on breast cancer"
        " histology images. Medical Image Analysis 56, 2019. Data: doi:10.5281/zenodo.3632035."
    ),
    homepage=HOMEPAGE,
    classes=("background", "normal", "benign", "in_situ", "invasive"),
    groups=("Normal", "Benign", "InSitu", "Invasive"),  # the class of the whole image, by its folder's name
    official_splits={},  # the labels of the challenge's test images are not published
    microns_per_pixel=0.42,
    magnification=20.0,
    files=(
        RemoteFile(
            "ICIAR2018_BACH_Challenge.zip",
            f"{HOMEPAGE}/files/ICIAR2018_BACH_Challenge.zip",
            "md5:8ae1801334aa943c44627c1eef3631b2",
        ),
    ),
    sample=Sample,
)
