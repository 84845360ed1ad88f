"""The card of TNBC names its eleven patients and their sides."""

from pipeline.datasets.tnbc.card import CARD


def test_the_split_names_every_patient_once() -> None:
    assert list(CARD.official_splits[1]) == [f"patient{number:02}" for number in range(1, 12)]
    assert [name[-2:] for name, side in CARD.official_splits[1].items() if side == "train"] == ["01", "04", "09", "10"]
    assert set(CARD.official_splits[1].values()) == {"train", "test"}
