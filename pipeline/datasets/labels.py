"""Pictures whose pixels are numbers, not colours: codes of classes, ids of nuclei.

read_labels      a number for each pixel of any such picture; what its palette shows is for the eye
number_nuclei    nuclei from such numbers: binary, an id for each, or colours that repeat
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.base.errors import Problem
from pipeline.datasets.members import UNDECODABLE, Member

if TYPE_CHECKING:
    from pipeline.tiles.store import InstanceMap

Labels = npt.NDArray[np.integer[Any]]  # (H, W), of the smallest type that holds what the picture can

CURE = "save it as 8 or 16 bits of grey, a number for each pixel and 0 for the background"
GREY = {"1", "L", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"}  # Pillow's modes of one number a pixel
COLOUR = {"LA", "RGB", "RGBA"}
OPAQUE = 255
BITS_PER_SAMPLE = 258  # TIFF's tag
PNG_DEPTH = 24  # byte of a PNG in which its depth stands
MOST = 2.0**31  # number of a label
MEETING = 0.5  # of the border with background; real ids meet along 0.09 of it, a nucleus and its rim along 0.9
COVERING = 0.5  # of a picture; the largest nucleus of real masks covers 0.02, an inverted background over 0.6
AROUND = 2 / 3  # of a picture's edge; a background covers more, nuclei that touch each other on half of it less
Piece = npt.NDArray[np.int64]  # (N,), something of each piece


def read_labels(member: Member) -> Labels:
    """The numbers of a picture: indices, grey values, or colours as one number each; never below 0.

    An indexed picture counts by its indices. A colour picture whose three channels agree is grey. Alpha that is the
    same everywhere, or agrees with the colours, carries nothing; else what is transparent is background, and that is
    printed.

    Raises:
        Problem: it is no picture, has several pages, or what it holds is not told by it alone: colours of 16 bits (of
            which 8 would be read), grey of 2 or 4 bits (which would be stretched), fractions, numbers below 0, an
            index without a colour, half-transparent pixels, black beside transparent ones.
    """
    picture = member.picture()
    mode, bits = str(picture.mode), _bits(picture, member)
    if (pages := _pages(picture, member)) > 1:
        raise Problem(f"{member} holds {pages} pictures; give a file with one.")
    if mode == "P":
        return _indices(picture, member)
    if mode not in GREY | COLOUR:
        raise Problem(f"{member} is no picture of labels: its mode is {mode}; {CURE}.")
    if mode in COLOUR and bits > 8:
        raise Problem(f"{member} has colours or alpha of {bits} bits, of which only 8 would be read; {CURE}.")
    if mode == "L" and bits < 8:
        raise Problem(f"{member} has grey of {bits} bits, which is stretched to 255 when it is read; {CURE}.")
    if mode in COLOUR or (mode in {"1", "L"} and "transparency" in picture.info):
        return _colours(np.asarray(picture.convert("RGBA")), member)
    values = np.asarray(picture)
    if mode == "F" and not (values == np.trunc(values.clip(-MOST, MOST))).all():
        raise Problem(f"{member} holds values that are no whole numbers; {CURE}.")
    if values.min() < 0:
        raise Problem(f"{member} holds the value {values.min():g}, below 0; {CURE}.")
    return values.astype({"1": np.uint8, "F": np.int32}.get(mode, values.dtype.newbyteorder("=")))


def _pages(picture: Any, member: Member) -> int:
    """How many pictures the file holds, which Pillow finds out by reading what leads from one to the next."""
    try:
        return int(getattr(picture, "n_frames", 1))
    except UNDECODABLE as error:
        raise Problem(f"{member} is no whole picture ({error}); get it again.") from None


def _bits(picture: Any, member: Member) -> int:
    """Bits of a number in the file, which Pillow's mode does not tell; 8 where the format has no other."""
    if picture.format == "TIFF":
        return int(max(picture.tag_v2.get(BITS_PER_SAMPLE, (1,))))
    return member.read()[PNG_DEPTH] if picture.format == "PNG" else 8


def _indices(picture: Any, member: Member) -> Labels:
    """The indices of a picture with a palette, of which 0 is the background."""
    indices: Labels = np.asarray(picture)
    colours = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    if indices.max() >= len(colours):
        raise Problem(
            f"{member} holds the index {indices.max()}, but its palette has {len(colours)} colours, so its writer may"
            f" have cut its numbers off; {CURE}."
        )
    used = np.flatnonzero(np.bincount(indices.ravel()))
    black = [index for index in used if not colours[index].any()]
    if black and used[0] == 0 and 0 not in black:
        raise Problem(
            f"{member} has a palette in which index {black[0]} is black and 0 is not, so nobody knows which of them is"
            f" the background; {CURE}."
        )
    return indices


def _colours(rgba: npt.NDArray[np.uint8], member: Member) -> Labels:
    """Numbers of colours with alpha, (H, W, 4)."""
    (red, green, blue), alpha = np.moveaxis(rgba[..., :3], -1, 0), rgba[..., 3]
    grey = bool(((red == green) & (green == blue)).all())
    labels: Labels = red if grey else red.astype(np.int32) << 16 | green.astype(np.int32) << 8 | blue
    if alpha.min() == alpha.max():
        return labels
    half = (alpha > 0) & (alpha < OPAQUE)
    if half.any():
        raise Problem(
            f"{member} has {half.sum():,} half-transparent px, which are neither label nor background; {CURE}."
        )
    seen = np.unique(labels[alpha > 0])
    if len(seen) > 1 and seen[0] == 0 and (labels[alpha == 0] != 0).any():
        raise Problem(f"{member} has black and transparent px, so nobody knows which are the background; {CURE}.")
    if len(seen) == 1:  # what is opaque is the label, whatever its colour
        labels = np.where(alpha > 0, labels.dtype.type(max(1, seen[0])), labels)
    if (labels[alpha == 0] != 0).any() or not seen.any():
        print(f"{member}: its {(alpha == 0).sum():,} transparent px are background")
    return np.where(alpha > 0, labels, labels.dtype.type(0))


def number_nuclei(labels: Labels, where: object) -> "InstanceMap":
    """The nuclei of a mask, numbered from 1 by value and then by row; 0 is background.

    With one value besides 0 it is binary: pixels that touch, corners included, are one nucleus. With several a value is
    a nucleus, unless its pieces lie further apart than a nucleus is wide (the median piece's diameter): then the value
    repeats, and each of its pieces is a nucleus. Where most values in several pieces do, all do. This is printed.

    Args:
        labels: numbers from 0.
        where: what a Problem names, such as the mask's file.

    Raises:
        Problem: there is no background, or values meet as no nuclei do: smoothed, nuclei with rims, regions.
    """
    from scipy.ndimage import find_objects
    from skimage.measure import label

    pieces = label(labels, background=0, connectivity=2).astype(np.int32)
    areas = np.bincount(pieces.ravel(), minlength=1)[1:]
    if areas.size and areas.max() > COVERING * labels.size and _share_of_edge(pieces, int(areas.argmax()) + 1) > AROUND:
        raise Problem(
            f"{where} has one nucleus on {areas.max() / labels.size:.0%} of the picture, so its background is not 0 (or"
            f" black), or it is inverted; {CURE}."
        )
    owners = np.zeros(len(areas), np.int64)
    owners[pieces[pieces > 0] - 1] = labels[pieces > 0]
    known, owners = np.unique(owners, return_inverse=True)
    if len(known) <= 1:
        return pieces
    if (meeting := _meeting(labels)) > MEETING:
        raise Problem(
            f"{where} has {len(known):,} values that meet along {meeting:.2f} times the line on which they meet the"
            f" background: smoothed, nuclei with rims, or regions, but no value for each nucleus; {CURE}."
        )
    boxes = np.array([[rows.start, rows.stop, columns.start, columns.stop] for rows, columns in find_objects(pieces)])
    repeated = _repeated(owners, boxes, float(np.median(np.sqrt(4 * areas / np.pi))))
    if repeated.any():
        print(
            f"{where}: {repeated.sum():,} of {len(known):,} values repeat on pieces that lie far apart; each of their"
            f" {repeated[owners].sum():,} pieces is a nucleus"
        )
    keys = np.stack([owners, np.where(repeated[owners], np.arange(len(owners)), -1)], axis=1)
    _, numbers = np.unique(keys, axis=0, return_inverse=True)
    instance_map: InstanceMap = np.concatenate([[0], numbers.ravel() + 1])[pieces].astype(np.int32)
    return instance_map


def _share_of_edge(pieces: "InstanceMap", number: int) -> float:
    """What part of a picture's outermost pixels belongs to a piece."""
    edge = np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])
    return float((edge == number).mean())


def _meeting(labels: Labels) -> float:
    """How long values meet each other, as a part of how long they meet the background."""
    inside = outside = 0
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        inside += int(((one != other) & (one > 0) & (other > 0)).sum())
        outside += int(((one > 0) != (other > 0)).sum())
    return inside / max(1, outside)


def _repeated(owners: Piece, boxes: npt.NDArray[np.int64], diameter: float) -> npt.NDArray[np.bool_]:
    """Which values stand for several nuclei, (values,), from each piece's value and box (top, bottom, left, right)."""
    count = int(owners.max()) + 1
    gaps = np.zeros(count, np.int64)
    for start, stop in ((0, 1), (2, 3)):
        last, first = np.zeros(count, np.int64), np.full(count, np.iinfo(np.int64).max)
        np.maximum.at(last, owners, boxes[:, start])
        np.minimum.at(first, owners, boxes[:, stop])
        gaps = np.maximum(gaps, last - first)
    several = np.bincount(owners, minlength=count) > 1
    apart = several & (gaps > diameter)
    return several if 2 * apart.sum() > several.sum() else apart
