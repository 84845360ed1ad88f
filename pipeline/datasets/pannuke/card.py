"""What is known of PanNuke before a file of it is there (docs/datasets/pannuke.md)."""

from pydantic import Field

from pipeline.base.schema import Block, Fraction
from pipeline.datasets import Card, RemoteFile

HOMEPAGE = "https://warwick.ac.uk/fac/cross_fac/tia/data/pannuke"
SHA256 = {  # of the folds' zips
    1: "6e19ad380300e8ce9480f9ab6a14cc91fa4b6a511609b40e3d70bdf9c881ed0b",
    2: "5bc540cc509f64b5f5a274d6e5a245527dbd3e6d3155d43555115c5d54709b07",
    3: "c14d372981c42f611ebc80afad01702b89cad8c1b3089daa31931cf5a4b1a39d",
}
# fmt: off
TISSUES = (
    "Adrenal_gland", "Bile-duct", "Bladder", "Breast", "Cervix", "Colon", "Esophagus", "HeadNeck",
    "Kidney", "Liver", "Lung", "Ovarian", "Pancreatic", "Prostate", "Skin", "Stomach",
    "Testis", "Thyroid", "Uterus",
)
# fmt: on


class Sample(Block):
    """How its sample is drawn."""

    tile_size: int = Field(ge=64, le=256)  # px a side
    tiles_per_fold: int = Field(ge=4)
    breast_share: Fraction  # of the tiles


CARD = Card(
    name="pannuke",
    title="PanNuke",
    licence="CC BY-NC-SA 4.0",
    licence_url="https://creativecommons.org/licenses/by-nc-sa/4.0/",
    citation=(
        "Gamper J, Alemi Koohbanani N, Benet K, Khuram A, Rajpoot N. PanNuke: an open pan-cancer histology dataset for"
        " nuclei instance segmentation and classification. European Congress on Digital Pathology, 2019. Gamper J et"
        " al. PanNuke dataset extension, insights and baselines. arXiv:2003.10778, 2020."
    ),
    homepage=HOMEPAGE,
    classes=("background", "neoplastic", "inflammatory", "connective", "dead", "epithelial"),  # mask channel + 1
    groups=TISSUES,
    official_splits={
        1: {"fold1": "train", "fold2": "validation", "fold3": "test"},
        2: {"fold2": "train", "fold1": "validation", "fold3": "test"},
        3: {"fold3": "train", "fold2": "validation", "fold1": "test"},
    },
    microns_per_pixel=0.25,
    magnification=40.0,
    files=tuple(
        RemoteFile(f"fold_{fold}.zip", f"{HOMEPAGE}/fold_{fold}.zip", sha256) for fold, sha256 in SHA256.items()
    ),
    sample=Sample,
)
