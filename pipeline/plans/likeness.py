"""Which tiles look alike: a hash of each, and groups of those whose hashes differ in few bits.

Time and memory grow with the number of tiles, however many look alike: a group is told by its size and its nearest two
tiles, never by its pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageStat

from pipeline.tiles.store import Image

DISTANCE = 3  # of 64 bits: hashes that differ in so few are alike
SPREAD = 3  # grey levels: glass has a standard deviation of up to 2.5, the palest tissue of more than 5
COLOUR = np.array([1, 1 << 8, 1 << 16], np.int32)  # of red, green and blue in a number that no other colour has
WINDOW = 64  # hashes that are compared with each, of those that agree in 40 bits

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Alike:
    """Hashes that are alike, directly or through others, of tiles on two sides of the split or three."""

    distance: int  # bits in which the nearest two on two sides differ
    nearest: tuple[int, int]  # their rows
    rows: Places  # of all


def has_texture(image: Image) -> bool:
    """Whether a tile (H, W, 3) shows anything: pure glass, one colour, or two with a border between are no evidence."""
    colour = image @ COLOUR  # comparing one number a pixel, not three, takes a quarter of the time
    differ = np.count_nonzero(colour[1:] != colour[:-1]) + np.count_nonzero(colour[:, 1:] != colour[:, :-1])
    if differ < image.shape[0] + image.shape[1]:  # as many pixels as lie along the corner of a slide
        return False
    return bool(max(ImageStat.Stat(PillowImage.fromarray(image)).stddev) >= SPREAD)


def difference_hash(image: Image) -> np.uint64:
    """64 bits that small changes of an image leave as they are: is each of 8 x 8 grey areas darker than its right one.

    dHash, after N. Krawetz, "Kind of Like That", 2013.
    """
    grey = PillowImage.fromarray(image).convert("L").resize((9, 8), PillowImage.Resampling.BOX)
    values = np.asarray(grey, np.int16)
    return np.packbits(values[:, :-1] < values[:, 1:]).view(np.uint64)[0]


def groups(hashes: Hashes, sides: npt.NDArray[Any]) -> list[Alike]:
    """Groups of rows whose hashes are at most `DISTANCE` bits apart, one by one, and that are on two sides.

    The nearest come first. Of hashes that agree in the same 40 bits each is compared with the next `WINDOW`: only in a
    larger crowd can a pair be missed, and only where no others join it.
    """
    values, place = np.unique(hashes, return_inverse=True)
    count = max(1, len(values))
    where = sides[:, None] == np.unique(sides)
    of_hash = np.zeros((len(values), where.shape[1]), np.bool_)  # on which sides a hash is
    np.logical_or.at(of_hash, place, where)
    labels = np.arange(len(values))
    # Of each hash the nearest one on another side, itself where it is on two: distance * count + its place.
    nearest = np.where(of_hash.sum(axis=1) > 1, labels, (DISTANCE + 1) * count)
    for first, second in _near(values):
        labels = _joined(labels, first, second)
        crossing = (of_hash[first] | of_hash[second]).sum(axis=1) > 1
        one, other = first[crossing], second[crossing]
        apart = np.bitwise_count(values[one] ^ values[other]).astype(np.int64) * count
        np.minimum.at(nearest, one, apart + other)
        np.minimum.at(nearest, other, apart + one)
    best = np.full(count, (DISTANCE + 1) * count)  # of each group: distance * count + place of the hash with it
    np.minimum.at(best, labels, nearest // count * count + np.arange(len(values)))
    of_row = labels[place]
    order = np.argsort(of_row, kind="stable")
    sorted_labels = of_row[order]
    found = []
    for label in np.flatnonzero(best < (DISTANCE + 1) * count):
        rows = order[slice(*np.searchsorted(sorted_labels, (label, label + 1)))]
        hash_at = best[label] % count
        pair = _pair(rows[place[rows] == hash_at], rows[place[rows] == nearest[hash_at] % count], sides)
        found.append(Alike(int(best[label] // count), pair, rows))
    return sorted(found, key=lambda group: (group.distance, group.nearest))


def _near(values: Hashes) -> Iterator[tuple[Places, Places]]:
    """Pairs of sorted, distinct hashes at most DISTANCE bits apart, some of them more than once.

    Three bits lie in at most three of eight bytes, so that near hashes agree in five bytes: in one of 56 choices.
    """
    for kept in combinations(range(8), 8 - DISTANCE):
        mask = np.uint64(sum(0xFF << 8 * byte for byte in kept))
        order = np.argsort(values & mask, kind="stable")
        keys = (values & mask)[order]
        for step in range(1, WINDOW + 1):
            same = keys[step:] == keys[:-step]
            if not same.any():
                break
            first, second = order[:-step][same], order[step:][same]
            close = np.bitwise_count(values[first] ^ values[second]) <= DISTANCE
            yield first[close], second[close]


def _joined(labels: Places, first: Places, second: Places) -> Places:
    """Labels of groups after these hashes were joined in pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = labels[first], labels[second]
    apart = one != other
    if not apart.any():
        return labels
    links = coo_array((np.ones(apart.sum(), np.bool_), (one[apart], other[apart])), shape=(len(labels),) * 2)
    return np.asarray(connected_components(links, directed=False)[1], np.int64)[labels]


def _pair(mine: Places, theirs: Places, sides: npt.NDArray[Any]) -> tuple[int, int]:
    """The first rows of two hashes, or of one, that are on two sides."""
    ahead, behind = (rows[np.sort(np.unique(sides[rows], return_index=True)[1])].tolist() for rows in (mine, theirs))
    return min((min(pair), max(pair)) for pair in product(ahead, behind) if sides[pair[0]] != sides[pair[1]])
