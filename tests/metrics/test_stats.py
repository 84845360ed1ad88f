"""Intervals and tests on data with a known answer, and against the definitions written out."""

import math
import time
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.metrics import stats

FloatArray = npt.NDArray[np.float64]


def share(sums: FloatArray) -> FloatArray:
    """Successes over trials, for sums (..., 2)."""
    return sums[..., 0] / sums[..., 1]


def clustered(generator: np.random.Generator, patients: int, images: int) -> tuple[FloatArray, list[str]]:
    """Successes and 50 trials an image, whose rate (0.5 on average) is the patient's."""
    rates = np.repeat(generator.beta(4, 4, patients), images)
    counts = np.stack([generator.binomial(50, rates), np.full(len(rates), 50)], axis=1).astype(float)
    return counts, [f"p{patient}" for patient in range(patients) for _ in range(images)]


def coverage(intervals: list[stats.Interval], truth: float) -> float:
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


# 600 data sets: a share of 0.95 has a standard error of 0.009, so three of them are 0.027.


def test_intervals_over_images_cover_a_known_rate() -> None:
    generator = np.random.default_rng(1)
    intervals = []
    for seed in range(600):
        counts = np.stack([generator.binomial(20, 0.3, 40), np.full(40, 20)], axis=1).astype(float)
        intervals.append(stats.bootstrap(counts, share, repeats=1000, seed=seed))
    assert 0.923 <= coverage(intervals, 0.3) <= 0.977


@pytest.mark.parametrize(("patients", "least"), [(7, 0.89), (20, 0.923)])  # plain percentiles cover 0.85 with seven
def test_intervals_over_patients_cover_where_those_over_images_do_not(patients: int, least: float) -> None:
    generator = np.random.default_rng(2)
    over_patients, over_images = [], []
    for seed in range(600):
        counts, names = clustered(generator, patients, images=6)
        over_patients.append(stats.bootstrap(counts, share, names, repeats=1000, seed=seed))
        over_images.append(stats.bootstrap(counts, share, repeats=1000, seed=seed))
    assert least <= coverage(over_patients, 0.5) <= 0.977
    assert coverage(over_images, 0.5) < 0.75


def test_paired_test_errs_as_often_as_it_says_and_finds_a_difference() -> None:
    generator = np.random.default_rng(3)
    wrong = found = 0
    for seed in range(400):
        difficulty = generator.uniform(0.2, 0.8, 60)
        base, same, other = (
            np.stack([generator.binomial(50, difficulty + gain), np.full(60, 50)], axis=1) for gain in (0, 0, 0.05)
        )
        null, real = stats.compare([base, same, other], share, pairs=[(0, 1), (2, 0)], repeats=800, seed=seed)
        # Holm doubles the smaller p of two, which is the real difference's unless that was missed.
        wrong += null.p < 0.05
        found += real.verdict == "better"
    assert wrong / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert wrong > 0
    assert found / 400 > 0.9


def test_interval_agrees_with_scipy() -> None:
    from scipy.stats import bootstrap, norm, t

    scores = np.random.default_rng(4).beta(5, 2, 80)
    ours = stats.bootstrap(stats.score_counts(scores), stats.mean_score, repeats=9999)
    level = 1 - 2 * norm.cdf(math.sqrt(80 / 79) * t.ppf(0.025, 79))  # Hesterberg's level for plain percentiles
    theirs = bootstrap(
        (scores,),
        np.mean,
        n_resamples=9999,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert ours.value == pytest.approx(scores.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_p_and_interval_tell_the_same() -> None:
    replicates = np.random.default_rng(6).normal(1, 0.5, 20_001)
    for units in (7, 30, 500):
        p = stats.p_value(replicates, units)
        ends = [stats.interval(1, replicates, units, 1 - p * factor).low for factor in (0.97, 1.03)]
        assert ends[0] < 0 < ends[1]
        assert stats.p_value(-replicates, units) == p
    assert stats.p_value(replicates, 7) > stats.p_value(replicates, 30) > stats.p_value(replicates, 500)


def test_a_resample_draws_as_many_units_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = stats.resample(np.eye(12), 5000, seed=7)
    assert (drawn.sum(axis=1) == 12).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(12), abs=0.06)
    assert drawn.var() == pytest.approx(11 / 12, abs=0.03)  # multinomial
    assert not np.array_equal(drawn, stats.resample(np.eye(12), 5000, seed=8))
    monkeypatch.setattr(stats, "BLOCK", 100)
    assert np.array_equal(drawn, stats.resample(np.eye(12), 5000, seed=7)), "blocks of work change nothing"
    monkeypatch.setattr(stats, "SUMS", 36)
    blocks = list(stats.resamples(np.eye(12), 5000, seed=7))
    assert {len(block) for block in blocks} == {3, 2}, "no block holds more than so many sums"
    assert np.array_equal(drawn, np.concatenate(blocks))


def test_units_are_patients_and_images_of_no_known_patient() -> None:
    counts = np.arange(10.0).reshape(5, 2)
    assert stats.sum_units(counts, ["b", "", "a", "b", ""]).tolist() == [[6, 8], [2, 3], [4, 5], [8, 9]]
    assert stats.bootstrap(counts, share, ["b", "", "a", "b", ""]).units == 4
    assert stats.sum_units(counts, None).tolist() == counts.tolist()
    with pytest.raises(ValueError, match="5 images have 1"):
        stats.sum_units(counts, ["a"])


def test_intervals_without_an_answer() -> None:
    one = stats.bootstrap(np.array([[3.0, 4.0]]), share)
    assert one.value == 0.75
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    absent = stats.bootstrap(stats.score_counts(np.full(5, np.nan)), stats.mean_score)
    assert math.isnan(absent.value)
    assert math.isnan(absent.low)
    rare = stats.bootstrap(stats.score_counts(np.array([np.nan] * 8 + [0.25, 0.75])), stats.mean_score)
    assert (rare.low, rare.value, rare.high) == (0.25, 0.5, 0.75)
    same = stats.compare([np.ones((6, 2)), np.ones((6, 2))], share)[0]
    assert (same.p, same.verdict, same.difference.value) == (1, "no difference shown", 0)


@given(st.lists(st.one_of(st.floats(-10, 10), st.just(math.nan)), max_size=8))
def test_means_leave_nan_out(values: list[float]) -> None:
    kept = [value for value in values if not math.isnan(value)]
    expected = sum(kept) / len(kept) if kept else math.nan
    assert float(stats.nan_mean(np.array(values), axis=0)) == pytest.approx(expected, abs=1e-9, nan_ok=True)
    table = np.array([values, values])
    assert stats.nan_mean(table, axis=1) == pytest.approx(np.full(2, expected), abs=1e-9, nan_ok=True)
    assert np.array_equal(stats.nan_mean(table, axis=-1), stats.nan_mean(table, axis=1), equal_nan=True)


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_what_its_steps_reject(p: list[float], alpha: float) -> None:
    rejected = set()
    for step, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[index] * (len(p) - step) > alpha:
            break
        rejected.add(index)
    corrected = stats.holm(p)
    assert {index for index in range(len(p)) if corrected[index] <= alpha} == rejected
    assert ((corrected >= np.array(p)) & (corrected <= 1)).all()


def test_comparisons_of_a_table() -> None:
    generator = np.random.default_rng(9)
    quality = generator.normal(0.5, 0.1, 50)
    variants = [stats.score_counts(quality + shift + generator.normal(0, 0.02, 50)) for shift in (0, 0.002, 0.1)]
    table = stats.compare(variants, stats.mean_score)
    assert [(row.first, row.second, row.verdict) for row in table] == [
        (0, 1, "no difference shown"),
        (0, 2, "worse"),
        (1, 2, "worse"),
    ]
    assert table[1].difference.high < 0
    assert stats.compare(variants, stats.mean_score, pairs=[(2, 0)])[0].verdict == "better"
    assert stats.compare(variants, stats.mean_score)[1] == table[1], "the same seed gives the same figures"
    alone = stats.bootstrap(variants[0] - variants[2], lambda sums: sums[..., 0] / 50, repeats=10_000)
    assert (alone.low, alone.high) == pytest.approx((table[1].difference.low, table[1].difference.high))
    assert stats.alike(table) == [[0, 1]]


@pytest.mark.parametrize(
    ("difference", "p", "expected"),
    [
        (0.1, 0.01, "better"),
        (-0.1, 0.01, "worse"),
        (0.1, 0.05, "no difference shown"),
        (0.0, 0.01, "no difference shown"),
        (math.nan, 1.0, "no difference shown"),
    ],
)
def test_verdict(difference: float, p: float, expected: str) -> None:
    assert stats.verdict(difference, p) == expected


@pytest.mark.parametrize(("effect", "expected"), [(1.0, 10), (0.5, 34), (0.2, 199)])
def test_needed_units_are_those_of_a_paired_t_test(effect: float, expected: int) -> None:
    """Whose tables are in every textbook: difference over its standard deviation, 5 %, a power of 80 %."""
    units = 12
    assert stats.needed_units(effect, np.sqrt((units - 1) / units) / np.sqrt(units), units) == expected


def test_needed_units_grow_with_the_tests_and_are_none_without_a_difference() -> None:
    assert stats.needed_units(-0.1, 0.001, 9) == 4  # less never give a p below 0.05
    assert stats.needed_units(-0.1, 0.001, 9, tests=2) == 6
    for difference, spread, units in ((0.0, 0.1, 9), (0.1, 0.1, 1), (math.nan, 0.1, 9), (1e-9, 0.1, 9)):
        assert stats.needed_units(difference, spread, units) is None


@given(st.lists(st.lists(st.sampled_from([0.1, 0.2, 0.3, math.nan]), min_size=3, max_size=3), min_size=1, max_size=6))
def test_ranks_agree_with_pandas(scores: list[list[float]]) -> None:
    expected = pd.DataFrame(scores).dropna().rank(axis=1, ascending=False).mean().to_numpy()
    assert stats.average_ranks(np.array(scores)) == pytest.approx(expected, nan_ok=True)


@given(
    st.integers(0, 6).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(list(combinations(range(7), 2)))))
    )
)
@settings(max_examples=60, deadline=None)  # the first one imports networkx
def test_groups_are_the_largest_sets_without_a_difference(case: tuple[int, set[tuple[int, int]]]) -> None:
    count, chosen = case
    nothing = stats.Interval(0, 0, 0, 2)
    rows = [
        stats.Comparison(a, b, nothing, 1, "no difference shown" if (a, b) in chosen else "better")
        for a, b in combinations(range(count), 2)
    ]
    complete = [
        set(group)
        for size in range(2, count + 1)
        for group in combinations(range(count), size)
        if chosen.issuperset(combinations(group, 2))
    ]
    assert stats.alike(rows) == sorted(sorted(g) for g in complete if not any(g < other for other in complete))


def test_a_large_table_takes_seconds() -> None:
    confusion = np.random.default_rng(10).integers(0, 5000, (14, 775, 36)).astype(float)
    start = time.perf_counter()
    stats.compare(list(confusion), lambda sums: sums[..., 0] / sums.sum(axis=-1))
    assert time.perf_counter() - start < 30  # 14 variants, 91 pairs, 10,000 resamples of 775 images
