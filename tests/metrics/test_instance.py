"""Instance metrics against their definitions written out slowly, and against public libraries."""

import math
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.metrics import instance

Map = npt.NDArray[np.integer]
IDS = np.array([0, 1, 3, 70_000, 2**31 - 1], np.int32)  # ids may have gaps and be large


def slow_areas(truth: Map, prediction: Map) -> dict[tuple[int, int], tuple[int, int]]:
    """(intersection, union) of every pair of instances that meet, from full-size masks."""
    result = {}
    for i in sorted(set(truth.ravel().tolist()) - {0}):
        for j in sorted(set(prediction.ravel().tolist()) - {0}):
            both = int(((truth == i) & (prediction == j)).sum())
            if both:
                result[i, j] = both, int(((truth == i) | (prediction == j)).sum())
    return result


def slow_pq(truth: Map, prediction: Map) -> tuple[float, float, float]:
    """(PQ, SQ, DQ) by Kirillov's formula; NaN without any instance."""
    ious = [both / either for both, either in slow_areas(truth, prediction).values() if 2 * both > either]
    true, predicted = len(set(truth.ravel().tolist()) - {0}), len(set(prediction.ravel().tolist()) - {0})
    if not true + predicted:
        return math.nan, math.nan, math.nan
    tp, fp, fn = len(ious), predicted - len(ious), true - len(ious)
    return (
        sum(ious) / (tp + 0.5 * fp + 0.5 * fn),
        sum(ious) / tp if tp else 0.0,
        2 * tp / (2 * tp + fp + fn),
    )


def slow_aji(truth: Map, prediction: Map) -> float:
    """Algorithm 1 of Kumar et al. 2017, line by line; NaN without any instance."""
    areas = slow_areas(truth, prediction)
    top = bottom = 0
    used = set()
    for i in sorted(set(truth.ravel().tolist()) - {0}):
        best, best_jaccard = None, 0.0
        for j in sorted(set(prediction.ravel().tolist()) - {0}):
            both, either = areas.get((i, j), (0, 1))
            if both / either > best_jaccard:
                best, best_jaccard = j, both / either
        if best is None:
            bottom += int((truth == i).sum())
        else:
            top += areas[i, best][0]
            bottom += areas[i, best][1]
            used.add(best)
    for j in set(prediction.ravel().tolist()) - {0} - used:
        bottom += int((prediction == j).sum())
    return top / bottom if bottom else math.nan


def check(truth: Map, prediction: Map) -> None:
    counts = instance.count(instance.overlaps(truth, prediction))
    assert tuple(instance.panoptic_quality(counts)) == pytest.approx(slow_pq(truth, prediction), abs=1e-6, nan_ok=True)
    assert float(instance.aggregated_jaccard(counts)) == pytest.approx(
        slow_aji(truth, prediction), abs=1e-6, nan_ok=True
    )


random_maps = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda shape: st.tuples(*[arrays(np.int32, shape, elements=st.sampled_from(IDS.tolist()))] * 2)
)


@given(random_maps)
def test_random_maps_agree_with_the_definitions(maps: tuple[Map, Map]) -> None:
    check(*maps)


def test_drawn_maps_agree_with_the_definitions(drawn_pairs: list) -> None:
    for pair in drawn_pairs:
        check(pair.truth, pair.prediction)


@pytest.mark.real
def test_real_maps_agree_with_the_definitions(real_pairs: list) -> None:
    for pair in real_pairs:
        check(pair.truth, pair.prediction)


@pytest.mark.parametrize("side", [0, 1, 3])
def test_empty_maps_and_single_pixels(side: int) -> None:
    empty = np.zeros((side, side), np.int32)
    check(empty, empty)
    if side:
        pixel = empty.copy()
        pixel[0, -1] = 9
        for truth, prediction in ((pixel, empty), (empty, pixel), (pixel, pixel), (pixel, pixel[::-1])):
            check(truth, prediction)


def test_aji_may_use_a_prediction_twice() -> None:
    truth = np.array([[1, 1, 2, 2]])
    counts = instance.count(instance.overlaps(truth, np.ones_like(truth)))
    assert instance.aggregated_jaccard(counts) == 4 / 8  # AJI+ would say 2 / 6


def test_equal_iou_goes_to_the_lower_id() -> None:
    truth = np.array([[5, 5, 5, 5, 5, 5, 0, 0, 0]])
    short, long = np.array([[1, 1, 0, 0, 0, 0, 0, 0, 0]]), np.array([[0, 0, 0, 1, 1, 1, 1, 1, 1]])  # IoU 2/6 and 3/9
    assert instance.count(instance.overlaps(truth, 2 * short + 8 * long))[4:].tolist() == [2, 6 + 6]
    assert instance.count(instance.overlaps(truth, 8 * short + 2 * long))[4:].tolist() == [3, 9 + 2]


def test_half_is_no_match() -> None:
    truth, prediction = np.array([[1, 1, 0]]), np.array([[1, 0, 0]])
    assert instance.count(instance.overlaps(truth, prediction))[:3].tolist() == [0, 1, 1]
    assert instance.count(instance.overlaps(truth, prediction), threshold=0.49)[:3].tolist() == [1, 0, 0]


@given(random_maps, st.sampled_from([0.0, 0.1, 0.25, 0.4, 0.6, 0.75]))
@settings(max_examples=60)
def test_other_thresholds_agree_with_trying_every_assignment(maps: tuple[Map, Map], threshold: float) -> None:
    truth, prediction = maps
    areas = slow_areas(truth, prediction)
    true, predicted = sorted(set(truth.ravel().tolist()) - {0}), sorted(set(prediction.ravel().tolist()) - {0})
    padded = predicted + [None] * len(true)
    best: dict[float, set[tuple[int, float]]] = {}
    for chosen in set(permutations(padded, len(true))):
        ious = [areas[i, j][0] / areas[i, j][1] if (i, j) in areas else 0.0 for i, j in zip(true, chosen, strict=True)]
        above = [iou for iou in ious if iou > threshold]
        best.setdefault(round(sum(ious), 9), set()).add((len(above), round(sum(above), 9)))
    counts = instance.count(instance.overlaps(truth, prediction), threshold)
    assert (counts[0], round(counts[3], 9)) in best[max(best)]  # of several best assignments any will do
    assert counts[0] + counts[1] == len(predicted)
    assert counts[0] + counts[2] == len(true)


@given(random_maps)
def test_table_agrees_with_scikit_image(maps: tuple[Map, Map]) -> None:
    from skimage.metrics import contingency_table

    truth, prediction = (np.searchsorted(IDS, values) for values in maps)  # its table is as wide as the largest id
    expected = contingency_table(truth, prediction).toarray()
    table = instance.overlaps(truth, prediction)
    assert table.truth_areas.tolist() == expected.sum(1)[1:][expected.sum(1)[1:] > 0].tolist()
    assert table.prediction_areas.tolist() == expected.sum(0)[1:][expected.sum(0)[1:] > 0].tolist()
    rows, columns = np.nonzero(expected[1:, 1:])
    assert table.truth_ids[table.rows].tolist() == (rows + 1).tolist()
    assert table.prediction_ids[table.columns].tolist() == (columns + 1).tolist()
    assert table.intersections.tolist() == expected[1:, 1:][rows, columns].tolist()


@given(random_maps, st.integers(1, 7))
def test_the_table_of_parts_is_that_of_the_whole(maps: tuple[Map, Map], rows: int) -> None:
    truth, prediction = maps
    parts = [
        instance.meetings(truth[top : top + rows], prediction[top : top + rows]) for top in range(0, len(truth), rows)
    ]
    whole, found = instance.overlaps(truth, prediction), instance.tabulate(parts)
    for name, values in vars(whole).items():
        np.testing.assert_array_equal(getattr(found, name), values)


def test_a_table_of_no_parts_is_empty() -> None:
    assert all(not values.size for values in vars(instance.tabulate([])).values())


def test_counts_of_classes_are_those_of_maps_with_one_class(drawn_pairs: list) -> None:
    for pair in drawn_pairs:
        table = instance.overlaps(pair.truth, pair.prediction)
        counts = instance.count_classes(table, pair.truth_classes, pair.prediction_classes, range(1, 6))
        for code in range(1, 6):
            truth = np.where(
                np.isin(pair.truth, [i for i, c in pair.truth_classes.items() if c == code]), pair.truth, 0
            )
            of_class = [i for i, c in pair.prediction_classes.items() if c == code]
            prediction = np.where(np.isin(pair.prediction, of_class), pair.prediction, 0)
            assert tuple(instance.panoptic_quality(counts[code - 1])) == pytest.approx(
                slow_pq(truth, prediction), abs=1e-6, nan_ok=True
            )
            assert float(instance.aggregated_jaccard(counts[code - 1])) == pytest.approx(
                slow_aji(truth, prediction), abs=1e-6, nan_ok=True
            )


def slow_mean(values: list[float]) -> float:
    kept = [value for value in values if not math.isnan(value)]
    return sum(kept) / len(kept) if kept else math.nan


def slow_pannuke(pairs: list, tissues: list[str], classes: range) -> dict[str, object]:
    """bPQ, mPQ and per-class PQ as the data set's README and script describe them."""

    def pq(truth: Map, prediction: Map) -> float:
        return slow_pq(truth, prediction)[0] if truth.any() else math.nan

    def only(values: Map, of: dict[int, int], code: int) -> Map:
        return np.vectorize(lambda number: number if of.get(int(number)) == code else 0)(values)

    binary = [pq(pair.truth, pair.prediction) for pair in pairs]
    by_class = [
        [pq(only(p.truth, p.truth_classes, c), only(p.prediction, p.prediction_classes, c)) for c in classes]
        for p in pairs
    ]
    multi = [slow_mean(row) for row in by_class]

    def over_tissues(values: list[float]) -> float:
        groups = [[v for v, t in zip(values, tissues, strict=True) if t == tissue] for tissue in sorted(set(tissues))]
        return slow_mean([slow_mean(group) for group in groups])

    return {
        "bpq_images": slow_mean(binary),
        "bpq_tissues": over_tissues(binary),
        "mpq_images": slow_mean(multi),
        "mpq_tissues": over_tissues(multi),
        "class_pq_images": [slow_mean([row[c] for row in by_class]) for c in range(len(classes))],
        "class_pq_tissues": [over_tissues([row[c] for row in by_class]) for c in range(len(classes))],
    }


def check_pannuke(pairs: list, tissues: list[str]) -> None:
    classes = range(1, 7)  # the sixth is never there
    tables = [instance.overlaps(pair.truth, pair.prediction) for pair in pairs]
    scores = instance.panoptic_scores(
        np.stack([instance.count(table) for table in tables]),
        np.stack(
            [
                instance.count_classes(table, pair.truth_classes, pair.prediction_classes, classes)
                for table, pair in zip(tables, pairs, strict=True)
            ]
        ),
        tissues,
    )
    expected = slow_pannuke(pairs, tissues, classes)
    for name, value in expected.items():
        assert np.asarray(getattr(scores, name)) == pytest.approx(np.asarray(value), abs=1e-6, nan_ok=True), name


def test_pannuke_scores_agree_with_the_definition(drawn_pairs: list) -> None:
    from dataclasses import replace

    empty = np.zeros((40, 40), np.int32)
    invented = replace(drawn_pairs[0], truth=empty, truth_classes={})  # no truth: left out, though predicted
    missed = replace(drawn_pairs[1], prediction=np.zeros((64, 64), np.int32), prediction_classes={})  # counts as 0
    check_pannuke([*drawn_pairs, invented, missed], ["Breast", "Colon", "Breast", "Colon", "Skin"])
    check_pannuke([invented], ["Breast"])


@pytest.mark.real
def test_pannuke_scores_on_real_tiles(real_pairs: list) -> None:
    check_pannuke(real_pairs, ["Breast", "Colon", "Breast", "Skin", "Colon", "Skin", "Breast"])


def slow_joins(truth: Map, prediction: Map) -> tuple[int, int]:
    """How many predictions hold more than half of several true nuclei, and how many nuclei that of predictions."""

    def holding(one: Map, other: Map) -> int:
        inside = {
            number: [
                m
                for m in set(other.ravel().tolist()) - {0}
                if 2 * (one[other == m] == number).sum() > (other == m).sum()
            ]
            for number in set(one.ravel().tolist()) - {0}
        }
        return sum(len(held) > 1 for held in inside.values())

    return holding(prediction, truth), holding(truth, prediction)


@given(random_maps)
def test_merged_and_split_nuclei_of_random_maps(maps: tuple[Map, Map]) -> None:
    assert tuple(instance.joins(instance.overlaps(*maps))) == slow_joins(*maps)


def test_merged_and_split_nuclei_of_drawn_maps(drawn_pairs: list) -> None:
    for pair in drawn_pairs:
        assert tuple(instance.joins(instance.overlaps(pair.truth, pair.prediction))) == slow_joins(
            pair.truth, pair.prediction
        )


def test_merged_and_split_nuclei_are_named() -> None:
    truth = np.array([[1, 1, 2, 2, 0, 7, 7, 7, 7]])
    prediction = np.array([[3, 3, 3, 3, 0, 4, 4, 5, 5]])
    merging, split = instance.merged_and_split(instance.overlaps(truth, prediction))
    assert (merging.tolist(), split.tolist()) == ([3], [7])


def test_counts_of_images_add_up(drawn_pairs: list) -> None:
    side = max(pair.truth.shape[0] for pair in drawn_pairs)
    shift = 10_000_000  # so that ids stay apart when the images are put side by side

    def joined(name: str) -> Map:
        images = []
        for position, pair in enumerate(drawn_pairs):
            values = getattr(pair, name).astype(np.int32)
            margin = [(0, side - values.shape[0]), (0, side - values.shape[1])]
            images.append(np.pad(np.where(values > 0, values + position * shift, 0), margin))
        return np.concatenate(images, axis=1)

    total = sum(instance.count(instance.overlaps(pair.truth, pair.prediction)) for pair in drawn_pairs)
    assert total == pytest.approx(instance.count(instance.overlaps(joined("truth"), joined("prediction"))))


@pytest.mark.slow
def test_pq_agrees_with_torchmetrics(drawn_pairs: list) -> None:
    import torch
    from torchmetrics.detection import PanopticQuality

    for pair in drawn_pairs:
        metric = PanopticQuality(things={1}, stuffs={0}, return_sq_and_rq=True, return_per_class=True)
        images = [
            torch.from_numpy(np.stack([values > 0, values], axis=-1).astype(np.int64))[None]
            for values in (pair.prediction, pair.truth)
        ]
        counts = instance.count(instance.overlaps(pair.truth, pair.prediction))
        assert tuple(instance.panoptic_quality(counts)) == pytest.approx(metric(*images)[0].tolist(), abs=1e-6)


def test_maps_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        instance.overlaps(np.zeros((2, 2), np.int32), np.zeros((2, 3), np.int32))
    with pytest.raises(ValueError, match="negative"):
        instance.overlaps(np.zeros((1, 1), np.int32), np.full((1, 1), -1, np.int32))
