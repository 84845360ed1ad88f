"""Nuclei as objects: what a detector is shown, and what it finds. NumPy alone."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.tiles.examples import Examples

FloatArray = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Objects:
    """The nuclei of an image, each in its own mask: masks may overlap where a model found them."""

    boxes: FloatArray  # (n, 4): x0, y0, x1, y1 in px, x1 and y1 just outside
    labels: npt.NDArray[np.int64]  # (n,) class codes
    scores: FloatArray  # (n,); 1 where they are known
    masks: Masks  # (n, H, W)


def true_objects(examples: Examples, position: int) -> Objects:
    """The nuclei of an example at the size that a model sees; one that was lost on the way there is none."""
    instance_map, classes = examples.instances(position)
    ids = np.unique(instance_map[instance_map > 0])
    masks = np.asarray(instance_map == ids[:, None, None])
    labels = np.array([classes[int(number)] for number in ids], np.int64)
    return Objects(boxes_of(masks), labels, np.ones(len(ids), np.float32), masks)


def boxes_of(masks: Masks) -> FloatArray:
    """The smallest box around each mask (n, H, W), none of them empty."""
    ends = []
    for axis in (1, 2):  # over rows: columns that are hit, and the other way round
        hit = np.asarray(masks.any(axis=axis))
        ends += [hit.argmax(axis=1), hit.shape[1] - hit[:, ::-1].argmax(axis=1)]
    x0, x1, y0, y1 = ends
    return np.stack([x0, y0, x1, y1], axis=1).astype(np.float32)
