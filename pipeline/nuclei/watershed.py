"""From a map of what is nucleus to single nuclei: connected components, or a watershed that parts touching nuclei."""

import numpy as np
import numpy.typing as npt

InstanceMap = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

METHODS = ("components", "watershed")


def instances(foreground: Mask, method: str, minimum_size: int = 10, depth: float = 1.0) -> InstanceMap:
    """Instance map (H, W) int32 of a foreground (H, W) such as `probability > 0.5`, 0 = none, ids 1 to n.

    Nuclei are 4-connected: pixels that meet at a corner only are apart. Instances under `minimum_size` pixels are
    dropped. `depth` is the watershed's, see `split_touching`. Raises ValueError for a method not in `METHODS`.
    """
    from scipy.ndimage import label

    if method not in METHODS:
        raise ValueError(f"no method {method!r} to find instances; there are {' and '.join(METHODS)}")
    if method == "watershed":
        labels = split_touching(foreground, depth)
    else:
        labels, _ = label(foreground)
    sizes = np.bincount(labels.ravel())
    kept = sizes >= minimum_size
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]


def split_touching(foreground: Mask, depth: float = 1.0) -> InstanceMap:
    """Part a foreground (H, W) at its necks by watershed on the distance to the background.

    A seed is a maximum of the distance that rises more than `depth` px above the ridge to any higher one; the larger
    `depth`, the fewer cuts. Every component keeps at least one seed, so no pixel of the foreground is lost.
    """
    from scipy.ndimage import distance_transform_edt, generate_binary_structure, label
    from skimage.morphology import local_maxima, reconstruction
    from skimage.segmentation import watershed

    cross = generate_binary_structure(2, 1)
    if foreground.all() or not foreground.any():  # no distance to measure
        return foreground.astype(np.int32)
    distance = distance_transform_edt(foreground)  # the edge of the tile is no background
    raised = np.where(foreground, distance + depth, 0)  # so that lowering by depth leaves small components above 0
    flooded = reconstruction(np.maximum(raised - depth, 0), raised, footprint=cross)
    seeds, _ = label(local_maxima(flooded, footprint=cross) & foreground)
    return np.asarray(watershed(-distance, seeds, mask=foreground, connectivity=cross), np.int32)


def classes_of(
    instance_map: npt.NDArray[np.integer],
    class_map: npt.NDArray[np.integer],
    ignore: int = 255,
    background: int = 0,
) -> dict[int, int]:
    """Class code of every instance id of a map (H, W): the class of most of its pixels in `class_map` (H, W).

    Pixels of `background` and `ignore` do not vote; an instance without a vote is missing. Ties go to the lower code.
    """
    votes = (instance_map > 0) & (class_map != background) & (class_map != ignore)
    codes, pixels = np.unique(
        (instance_map[votes].astype(np.int64) << 32) | class_map[votes].astype(np.int64), return_counts=True
    )
    order = np.lexsort((-(codes & 0xFFFFFFFF), pixels))  # ascending, so that a dict keeps the winner, which comes last
    return {int(code >> 32): int(code & 0xFFFFFFFF) for code in codes[order]}
