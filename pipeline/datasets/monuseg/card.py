"""What is known of MoNuSeg before a file of it is there (docs/datasets/monuseg.md)."""

from pydantic import Field

from pipeline.base.schema import Block
from pipeline.datasets import Card, RemoteFile

# fmt: off
ORGANS = {  # the 30 training images of the challenge; of the seven that were added later no organ is known here
    "Breast": (
        "TCGA-A7-A13E-01Z-00-DX1", "TCGA-A7-A13F-01Z-00-DX1", "TCGA-AR-A1AK-01Z-00-DX1",
        "TCGA-AR-A1AS-01Z-00-DX1", "TCGA-E2-A1B5-01Z-00-DX1", "TCGA-E2-A14V-01Z-00-DX1",
    ),
    "Kidney": (
        "TCGA-B0-5711-01Z-00-DX1", "TCGA-HE-7128-01Z-00-DX1", "TCGA-HE-7129-01Z-00-DX1",
        "TCGA-HE-7130-01Z-00-DX1", "TCGA-B0-5710-01Z-00-DX1", "TCGA-B0-5698-01Z-00-DX1",
    ),
    "Liver": (
        "TCGA-18-5592-01Z-00-DX1", "TCGA-38-6178-01Z-00-DX1", "TCGA-49-4488-01Z-00-DX1",
        "TCGA-50-5931-01Z-00-DX1", "TCGA-21-5784-01Z-00-DX1", "TCGA-21-5786-01Z-00-DX1",
    ),
    "Prostate": (
        "TCGA-G9-6336-01Z-00-DX1", "TCGA-G9-6348-01Z-00-DX1", "TCGA-G9-6356-01Z-00-DX1",
        "TCGA-G9-6363-01Z-00-DX1", "TCGA-CH-5767-01Z-00-DX1", "TCGA-G9-6362-01Z-00-DX1",
    ),
    "Bladder": ("TCGA-DK-A2I6-01A-01-TS1", "TCGA-G2-A2EK-01A-02-TSB"),
    "Colon": ("TCGA-AY-A8YK-01A-01-TS1", "TCGA-NH-A8F7-01A-01-TS1"),
    "Stomach": ("TCGA-KB-A93J-01A-01-TS1", "TCGA-RD-A8N9-01A-01-TS1"),
}
# fmt: on
ORGAN_OF = {name: organ for organ, names in ORGANS.items() for name in names}


class Sample(Block):
    """How its sample is drawn."""

    tile_size: int = Field(ge=128, le=1000)  # px a side; MoNuSeg's images have 1000
    images: int = Field(ge=1, le=30)


CARD = Card(
    name="monuseg",
    title="MoNuSeg",
    licence="CC BY-NC-SA 4.0",
    licence_url="https://creativecommons.org/licenses/by-nc-sa/4.0/",
    citation=(
        "Kumar N, Verma R, Sharma S, Bhargava S, Vahadane A, Sethi A. A dataset and a technique for generalized nuclear"
        " segmentation for computational pathology. IEEE Transactions on Medical Imaging 36(7), 2017. Kumar N et al. A"
        " multi-organ nucleus segmentation challenge. IEEE Transactions on Medical Imaging 39(5), 2020."
    ),
    homepage="https://monuseg.grand-challenge.org/Data/",
    classes=("background", "nucleus"),
    groups=(*ORGANS, ""),
    official_splits={1: dict.fromkeys(ORGAN_OF, "train")},
    split_is_partial=True,  # later releases hold more images than the challenge's 30
    microns_per_pixel=0.25,
    magnification=40.0,
    files=(
        RemoteFile(
            "MoNuSeg_2018_Training_Data.zip",
            "https://drive.usercontent.google.com/download?id=1ZgqFJomqQGNnsx7w7QBzQQMVA16lbVCA"
            "&export=download&confirm=t",
            "25d3d3185bb2970b397cafa72eb664c9b4d24294aee382e7e3df9885affce742",
        ),
    ),
    sample=Sample,
)
