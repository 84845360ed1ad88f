"""The nuclei of a class map that is too large for one watershed: piece by piece."""

import numpy as np
import numpy.typing as npt

from pipeline.base.study_blocks import Instances
from pipeline.nuclei import watershed
from pipeline.slides.outlines import Labels

DEPTH = 1  # px, of `watershed.split_touching`

Mask = npt.NDArray[np.bool_]  # (H, W)


def find_nuclei(foreground: Mask, settings: Instances) -> Labels:
    """Nuclei as `watershed.instances` finds them, each connected piece of the foreground by itself.

    A piece then has the same nuclei whatever is around it: in one watershed for all, a pixel as near to one nucleus as
    to another may go to either. It also takes memory for the largest piece only, and less time: most pieces have no
    neck, which is seen at once.
    """
    from scipy.ndimage import find_objects, label

    if settings.method == "components":
        return watershed.instances(foreground, settings.method, settings.minimum_size)
    pieces, _ = label(foreground)
    sizes = np.bincount(pieces.ravel())
    found, count = np.zeros(foreground.shape, np.int32), 0
    for name, place in enumerate(find_objects(pieces), start=1):
        if sizes[name] < settings.minimum_size:
            continue
        # A pixel of background all around, but where the map itself ends.
        wide = tuple(
            slice(max(side.start - 1, 0), min(side.stop + 1, length))
            for side, length in zip(place, foreground.shape, strict=True)
        )
        piece = pieces[wide] == name
        if has_neck(piece):
            nuclei = watershed.instances(piece, settings.method, settings.minimum_size)
            found[wide] += np.where(nuclei, nuclei + count, 0).astype(np.int32)
            count += int(nuclei.max())
        else:
            count += 1
            found[wide][piece] = count
    return found


def has_neck(piece: Mask) -> bool:
    """Whether a watershed may part a piece: never False where it does.

    Where a second seed rises more than 1 px above the ridge to a higher one, there is a whole number between that ridge
    and the seed, and what is as far from the background as that is in two parts.
    """
    from scipy.ndimage import distance_transform_edt, label

    if piece.all():
        return False
    distance = distance_transform_edt(piece)
    return any(label(distance >= level)[1] > 1 for level in range(1 + DEPTH, int(distance.max()) + 1))


def largest_piece(mask: Mask) -> Mask:
    """The largest 4-connected piece of a mask; the first of several."""
    from scipy.ndimage import label

    labels, count = label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())
