"""Tiles of one's own in PanNuke's layout: other channels, tissues and folds, to the pixel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.base.errors import Problem
from pipeline.base.params import Folds
from pipeline.base.schema import parse
from pipeline.datasets.folds.card import card
from pipeline.datasets.folds.reader import reader
from pipeline.datasets.pannuke.card import CARD
from tests.own import folds as drawn


def settings(**changes: Any) -> Folds:
    base = {"folds": "1, 2, 3", "classes": {"background": 2, "tumor": 0, "immune": 1}, "microns_per_pixel": 0.5}
    return parse(Folds, base | changes, "params.yaml")


def test_maps_are_what_the_channels_hold(tmp_path: Path) -> None:
    drawn.draw(tmp_path)
    parts = reader(settings()).find(tmp_path)
    assert [part.name for part in parts] == ["fold1", "fold2", "fold3"] and parts[0].resolution == (0.5, 20)
    for part in parts:
        masks = np.load(tmp_path / part.name / "masks.npy")
        for tile, channels in zip(part.tiles(), masks, strict=True):
            assert np.array_equal(tile.class_map, np.where(channels[..., 1] > 0, 2, channels[..., 0] > 0))
            names = channels[..., :2].max(axis=-1) + 1000 * (channels[..., 1] > 0)  # of a nucleus, in both channels
            pairs = {*zip(names[names > 0], tile.instance_map[names > 0], strict=True)}
            assert len(pairs) == len(tile.nuclei) == len({name for name, _ in pairs}) and tile.group in drawn.TISSUES
            assert np.array_equal(tile.instance_map > 0, names > 0) and tile.conflict == 0
            assert set(tile.nuclei.values()) <= {1, 2}


def test_the_background_may_be_the_first_channel(tmp_path: Path) -> None:
    drawn.draw(tmp_path)
    expected = [tile.class_map for part in reader(settings()).find(tmp_path) for tile in part.tiles()]
    for path in tmp_path.glob("*/masks.npy"):
        np.save(path, np.roll(np.load(path), 1, axis=-1))
    found = reader(settings(classes={"background": 0, "tumor": 1, "immune": 2})).find(tmp_path)
    again = [tile.class_map for part in found for tile in part.tiles()]
    assert all(np.array_equal(one, other) for one, other in zip(again, expected, strict=True))


def test_the_first_fold_tests_and_the_second_one_validates() -> None:
    assert card("mine", settings()).official_splits == {1: {"fold1": "test", "fold2": "validation", "fold3": "train"}}
    assert card("mine", settings(folds="4, 7")).official_splits == {1: {"fold4": "test", "fold7": "train"}}
    assert card("mine", settings()).classes == ("background", "tumor", "immune") != CARD.classes


def test_other_folds_channels_and_values(tmp_path: Path) -> None:
    drawn.draw(tmp_path)
    with pytest.raises(Problem, match=r"holds fold1, fold2, fold3, and params.yaml has fold1, fold2; add fold3 to"):
        reader(settings(folds="1, 2")).find(tmp_path)
    with pytest.raises(Problem, match=r"has the channels \[0, 2\]; give each from 0 on to one class"):
        settings(classes={"background": 2, "tumor": 0})
    (part, *_) = reader(settings(classes={"background": 3, "a": 0, "b": 1, "c": 2})).find(tmp_path)
    with pytest.raises(Problem, match=r"masks.npy has the shape \(8, 64, 64, 3\), not \(8, 64, 64, 4\)"):
        list(part.tiles())
    np.save(tmp_path / "fold1/masks.npy", np.roll(np.load(tmp_path / "fold1/masks.npy"), 1, axis=-1))
    (part, *_) = reader(settings()).find(tmp_path)
    with pytest.raises(Problem, match=r"masks.npy: tile 0 has several ids in channel 2, which marks the background"):
        list(part.tiles())


@pytest.mark.real
def test_a_real_fold_with_other_names(real_data: Path) -> None:
    classes = {"none": 5, "tumour": 0, "immune": 1, "connective": 2, "dead": 3, "epithelium": 4}
    (part,) = reader(settings(folds="3", classes=classes)).find(real_data / "pannuke")
    masks = np.load(real_data / "pannuke/Fold 3/masks/fold3/masks.npy")
    for tile, channels in zip(part.tiles(), masks, strict=True):
        claims = channels[..., :5] > 0
        expected = np.where(
            claims.any(axis=-1), 5 - claims[..., ::-1].argmax(axis=-1), 0
        )  # the last one that claims it
        assert np.array_equal(tile.class_map, expected)
