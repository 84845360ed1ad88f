"""The card of BACH names its file, and its classes in the order of their folders."""

from pipeline.datasets.bach.card import CARD
from pipeline.datasets.bach.reader import PREFIXES


def test_classes_and_groups_are_in_one_order() -> None:
    assert CARD.groups == tuple(PREFIXES)
    assert [name.replace("_", "") for name in CARD.classes[1:]] == [group.lower() for group in CARD.groups]


def test_the_official_file_is_checked_by_its_md5() -> None:
    assert CARD.files[0].sha256 == "md5:8ae1801334aa943c44627c1eef3631b2"
    assert CARD.files[0].url == "https://zenodo.org/records/3632035/files/ICIAR2018_BACH_Challenge.zip"
    assert CARD.licence == "CC BY-NC-ND 4.0" and not CARD.official_splits
