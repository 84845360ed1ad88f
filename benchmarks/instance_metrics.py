"""Instance metrics against the way of the published reference scripts, as a ratio of times in one run.

The published way is written out here: a full-size mask for every instance, and for every pair that meets a product
and a sum of two masks; PQ and AJI from the table of pairs. (Their scripts build that table anew for each of the two
metrics; here it is built once, in their favour.) Exits 1 where the results differ or ours is less than ten times as
fast. Run as `python -m benchmarks.instance_metrics`.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.metrics import instance

Map = npt.NDArray[np.int32]
CASES = ((256, 60), (1000, 600))  # px a side and nuclei: a PanNuke tile, a MoNuSeg image
LEAST = 10


def draw(side: int, count: int, seed: int) -> tuple[Map, Map]:
    """Ellipses the size of nuclei at 40x, and a prediction of them: moved a little, a tenth lost."""
    generator = np.random.default_rng(seed)
    maps = np.zeros((2, side, side), np.int32)
    rows, columns = np.indices((side, side))
    for number in range(1, count + 1):
        y, x = generator.uniform(0, side, 2)
        height, width = generator.uniform(6, 14, 2)
        for target, moved in ((0, 0.0), (1, generator.normal(0, 1.5))):
            if target == 0 or generator.random() > 0.1:
                inside = ((rows - y - moved) / height) ** 2 + ((columns - x - moved) / width) ** 2 < 1
                maps[target][inside] = number
    return maps[0], maps[1]


def published_way(truth: Map, prediction: Map) -> tuple[float, float]:
    """(PQ, AJI) by masks of full size, one pair at a time."""
    true_ids, predicted_ids = np.unique(truth)[1:], np.unique(prediction)[1:]
    true_masks = {i: (truth == i).astype(np.uint8) for i in true_ids}
    predicted_masks = {j: (prediction == j).astype(np.uint8) for j in predicted_ids}
    intersections = np.zeros((len(true_ids), len(predicted_ids)))
    unions = np.zeros_like(intersections)
    position = {j: column for column, j in enumerate(predicted_ids)}
    for row, i in enumerate(true_ids):
        for j in np.unique(prediction[true_masks[i] > 0]):
            if j:
                both = int((true_masks[i] * predicted_masks[j]).sum())
                intersections[row, position[j]] = both
                unions[row, position[j]] = int((true_masks[i] + predicted_masks[j]).sum()) - both
    ious = np.divide(intersections, unions, out=np.zeros_like(unions), where=unions > 0)
    matched = ious[ious > 0.5]
    pq = matched.sum() / (matched.size + (len(true_ids) - matched.size) / 2 + (len(predicted_ids) - matched.size) / 2)
    best = ious.argmax(axis=1)
    met = np.flatnonzero(ious.max(axis=1) > 0)
    union = unions[met, best[met]].sum()
    union += sum(int(true_masks[i].sum()) for i in np.delete(true_ids, met))
    union += sum(int(predicted_masks[j].sum()) for j in np.delete(predicted_ids, np.unique(best[met])))
    return float(pq), float(intersections[met, best[met]].sum() / union)


def ours(truth: Map, prediction: Map) -> tuple[float, float]:
    """(PQ, AJI) by `pipeline.metrics.instance`."""
    counts = instance.count(instance.overlaps(truth, prediction))
    return float(instance.panoptic_quality(counts).pq), float(instance.aggregated_jaccard(counts))


def seconds(function: Callable[[Map, Map], tuple[float, float]], maps: tuple[Map, Map], repeats: int) -> float:
    """The least time of one call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*maps)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    failed = False
    for side, count in CASES:
        maps = draw(side, count, seed=side)
        agree = np.allclose(ours(*maps), published_way(*maps), rtol=0, atol=1e-6)
        slow, fast = seconds(published_way, maps, 2), seconds(ours, maps, 10)
        print(f"{side} px, {len(np.unique(maps[0])) - 1} nuclei: results {'agree' if agree else 'DIFFER'}, ", end="")
        print(f"published way {1000 * slow:.1f} ms, ours {1000 * fast:.2f} ms, ratio {slow / fast:.0f}")
        failed |= not agree or slow / fast < LEAST
    sys.exit(failed)


if __name__ == "__main__":
    main()
