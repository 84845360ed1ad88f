"""Average precision of found objects, as COCO has it (Lin et al. 2014, Microsoft COCO; COCOeval of pycocotools).

Detections of an image and class take, by falling score, the best truth of that class that is still free and overlaps
enough. Then those of all images, by falling score, give a curve of precision over recall; precision is made to fall
never again, and read at 101 recalls. On 40 drawn sets of masks it is pycocotools 2.0.11's to 1e-15.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # IoU from which a detection is right
RECALLS = np.linspace(0, 1, 101) - 1e-12  # so that a recall of 7 / 10 reaches 0.7, whatever its last bit is


def match(iou: FloatArray, thresholds: FloatArray = THRESHOLDS) -> BoolArray:
    """Which detections are right, (n, thresholds), from the IoU (n, m) of detections and truths of one image and class.

    Detections come by falling score. Of truths that overlap alike the last one is taken, as COCOeval does.
    """
    right = np.zeros((len(iou), len(thresholds)), bool)
    if not iou.size:
        return right
    for place, threshold in enumerate(thresholds):
        free = np.ones(iou.shape[1], bool)
        for detection, row in enumerate(iou):
            left = np.where(free, row, -1.0)
            best = left.size - 1 - int(left[::-1].argmax())
            if left[best] >= min(threshold, 1 - 1e-10):
                right[detection, place] = True
                free[best] = False
    return right


def average_precision(right: BoolArray, truths: float, weights: FloatArray | None = None) -> float:
    """Area under the curve of precision over recall, of detections (n,) by falling score; NaN without any truth.

    Args:
        right: whether a detection found a truth.
        truths: how many there are to find.
        weights: how often each detection counts, for a bootstrap; `truths` is weighted alike.
    """
    if not truths > 0:
        return float("nan")
    weights = np.ones(len(right)) if weights is None else weights
    found, given = np.cumsum(weights * right), np.cumsum(weights)
    precision = np.divide(found, given, out=np.zeros(len(right)), where=given > 0)
    falling = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)  # 0 where no detection reaches the recall
    return float(falling[np.searchsorted(found / truths, RECALLS)].mean())
