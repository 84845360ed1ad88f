"""The card of MoNuSeg names the challenge's thirty training images."""

from pipeline.datasets.monuseg.card import CARD, ORGANS


def test_the_split_names_the_thirty_images() -> None:
    assert [len(names) for names in ORGANS.values()] == [6, 6, 6, 6, 2, 2, 2]
    assert len(CARD.official_splits[1]) == len({name[:12] for name in CARD.official_splits[1]}) == 30
    assert set(CARD.official_splits[1].values()) == {"train"}
    assert len(CARD.files[0].sha256) == 64 and "id=1ZgqFJomqQGNnsx7w7QBzQQMVA16lbVCA" in CARD.files[0].url
