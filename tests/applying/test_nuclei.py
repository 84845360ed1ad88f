"""Nuclei that are found piece by piece are those of the whole map."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label

from pipeline.applying.nuclei import find_nuclei, has_neck, largest_piece
from pipeline.base.study_blocks import Instances
from pipeline.nuclei import watershed


def pieces(seed: int) -> np.ndarray:
    """A foreground of pieces with necks, some at the border."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(160, 140)), 3)
    return np.asarray(noise > np.quantile(noise, 0.6))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", watershed.METHODS)
def test_the_nuclei_are_those_of_one_watershed_but_for_ties(seed: int, method: str) -> None:
    wanted = watershed.instances(pieces(seed), method, 10)
    found = find_nuclei(pieces(seed), Instances.model_validate({"method": method, "minimum_size": 10}))
    assert np.array_equal(wanted > 0, found > 0) and wanted.max() == found.max()
    pairs, pixels = np.unique(np.stack([wanted.ravel(), found.ravel()]), axis=1, return_counts=True)
    most = [pixels[pairs[0] == name].max() for name in range(wanted.max() + 1)]
    assert sum(most) > 0.999 * wanted.size


@pytest.mark.parametrize("seed", range(4))
def test_a_piece_without_a_neck_is_what_a_watershed_makes_of_it(seed: int) -> None:
    labels, count = label(pieces(seed))
    single = 0
    for name in range(1, count + 1):
        piece = np.pad(labels == name, 1)
        parts = watershed.instances(piece, "watershed", 0)
        assert has_neck(piece) or np.array_equal(parts, piece)
        single += not has_neck(piece)
    assert 0 < single < count
    assert not has_neck(np.ones((9, 9), bool))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_around_a_piece_changes_nothing_in_it(seed: int) -> None:
    settings = Instances(method="watershed", minimum_size=1)
    foreground = pieces(seed)
    found, part = find_nuclei(foreground, settings), find_nuclei(foreground[30:130, 20:120], settings)
    labels, _ = label(foreground)
    cut = set(np.unique(np.concatenate([labels[:31].ravel(), labels[129:].ravel()])))
    cut |= set(np.unique(np.concatenate([labels[:, :21].ravel(), labels[:, 119:].ravel()])))
    whole = ~np.isin(labels, list(cut))[30:130, 20:120] & (part > 0)
    assert whole.any()
    pairs = np.unique(np.stack([found[30:130, 20:120][whole], part[whole]]), axis=1)
    assert pairs.shape[1] == len(np.unique(pairs[0])) == len(np.unique(pairs[1]))


def test_the_largest_piece_is_kept() -> None:
    mask = np.array([[1, 0, 1, 1], [0, 1, 1, 0]], bool)
    assert largest_piece(mask).tolist() == [[False, False, True, True], [False, True, True, False]]
    assert not largest_piece(np.zeros((2, 2), bool)).any()
