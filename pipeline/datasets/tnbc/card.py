"""What is known of TNBC before a file of it is there (docs/datasets/tnbc.md)."""

from pydantic import Field

from pipeline.base.schema import Block, Fraction
from pipeline.datasets import Card, RemoteFile

HOMEPAGE = "https://zenodo.org/records/1175282"
PATIENTS = range(1, 12)  # later releases add other patients, with brain tumours
TRAINING = {1, 4, 9, 10}  # 25 of the 50 images


class Sample(Block):
    """How its sample is drawn."""

    tile_size: int = Field(ge=64, le=512)  # px a side; TNBC's images have 512
    share: Fraction  # of TNBC's images that each of the 11 patients gets, at least one


CARD = Card(
    name="tnbc",
    title="TNBC",
    licence="CC BY 4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    citation=(
        "Naylor P, Laé M, Reyal F, Walter T. Segmentation of nuclei in histopathology images by deep regression of the"
        " distance map. IEEE Transactions on Medical Imaging 38(2), 2019. Data: doi:10.5281/zenodo.1175282."
    ),
    homepage=HOMEPAGE,
    classes=("background", "nucleus"),
    groups=("Breast",),
    official_splits={1: {f"patient{number:02}": "train" if number in TRAINING else "test" for number in PATIENTS}},
    microns_per_pixel=0.25,
    magnification=40.0,
    files=(
        RemoteFile(
            "TNBC_NucleiSegmentation.zip",
            f"{HOMEPAGE}/files/TNBC_NucleiSegmentation.zip",
            "da708c3a988f4ad4b9bbb9283b387faf703f0bc0e5e689927306bd27ea13a57f",
        ),
    ),
    sample=Sample,
)
