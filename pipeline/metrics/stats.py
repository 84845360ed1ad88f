"""How sure a figure is: bootstrap intervals over patients or images, paired comparisons with Holm's correction, ranks.

All work on per-image counts: a resample is a weighted sum of their rows, so that thousands of resamples are one matrix
product. A statistic turns summed counts (R, ...) into figures (R,), NaN where it is not defined.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr, stdtrit

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]

MOST_UNITS = 1_000_000  # patients or images that anybody could hope for
REPEATS = 10_000  # of a paired test
BLOCK = 1_000_000  # weights held at once (some 25 MB), however many resamples and units there are
SUMS = 10_000_000  # and sums (80 MB), however many variants, runs and scores


@dataclass(frozen=True)
class Interval:
    """A figure and its confidence interval; the ends are NaN where there are not two units to resample."""

    value: float
    low: float
    high: float
    units: int  # patients or images that were resampled


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of two variants, `first` minus `second`, both indices into the variants."""

    first: int
    second: int
    difference: Interval
    p: float  # two-sided, corrected by Holm within the table
    verdict: str  # of the first: better, worse, no difference shown


def nan_mean(values: FloatArray, axis: int) -> FloatArray:
    """Mean over an axis with NaN left out; NaN where all are. Unlike `np.nanmean` it does so without a warning."""
    return mean_score(np.moveaxis(score_counts(values), axis % values.ndim, 0).sum(axis=0))


def score_counts(scores: FloatArray) -> FloatArray:
    """Counts (..., 2) of per-image scores (...), for means: the score, 0 where NaN, and 1 where it is not NaN."""
    return np.stack([np.nan_to_num(scores), np.isfinite(scores).astype(np.float64)], axis=-1)


def mean_score(sums: FloatArray) -> FloatArray:
    """The statistic of `score_counts`: the mean of the scores that are not NaN, for sums (..., 2)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1], np.float64)


def sum_units(counts: FloatArray, groups: Sequence[str] | None) -> FloatArray:
    """Counts (U, ...) of the units that are resampled: groups such as patients, else images.

    `groups` (N,) names the group of each image; an image with an empty name is a unit of its own.
    """
    if groups is None:
        return np.asarray(counts, np.float64)
    if len(groups) != len(counts):
        raise ValueError(f"{len(counts)} images have {len(groups)} group names")
    names = [("group", name) if name else ("image", str(position)) for position, name in enumerate(groups)]
    number = {name: unit for unit, name in enumerate(dict.fromkeys(names))}
    units = np.zeros((len(number), *counts.shape[1:]))
    np.add.at(units, [number[name] for name in names], counts)
    return units


def resample(units: FloatArray, repeats: int, seed: int) -> FloatArray:
    """Summed counts (R, ...) of `repeats` draws of U units out of U (U, ...), with replacement."""
    sums = np.empty((repeats, *units.shape[1:]))
    start = 0
    for block in resamples(units, repeats, seed):
        sums[start : start + len(block)] = block
        start += len(block)
    return sums


def resamples(units: FloatArray, repeats: int, seed: int) -> Iterator[FloatArray]:
    """The sums of `resample` in blocks (r, ...), for where all of them are more than memory should hold."""
    size = len(units)
    flat = units.reshape(size, -1)
    generator = np.random.default_rng(seed)
    step = max(1, min(BLOCK // size, SUMS // max(1, flat.shape[1])))
    for start in range(0, repeats, step):
        rows = min(step, repeats - start)
        drawn = generator.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
        yield (weights.astype(np.float64) @ flat).reshape(rows, *units.shape[1:])


def bootstrap(
    counts: FloatArray,
    statistic: Statistic,
    groups: Sequence[str] | None = None,
    repeats: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """A statistic of the summed counts (N, ...) of N images, with its bootstrap interval over groups, else images.

    Images of one patient are alike, so resampling images would promise too much where patients are known.
    """
    units = sum_units(counts, groups)
    value = statistic(units.sum(axis=0)[None])[0]
    return interval(float(value), statistic(resample(units, repeats, seed)), len(units), level)


def interval(value: float, replicates: FloatArray, units: int, level: float = 0.95) -> Interval:
    """Expanded percentile interval (Hesterberg 2015, What Teachers Should Know About the Bootstrap).

    Plain percentiles are too narrow by about the factor sqrt((n - 1) / n) and by the normal's shorter tails; with seven
    patients that matters. Resamples in which the statistic is not defined are left out.
    """
    defined = replicates[np.isfinite(replicates)]
    if units < 2 or not defined.size or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"), units)
    tail = ndtr(np.sqrt(units / (units - 1)) * stdtrit(units - 1, (1 - level) / 2))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(value, float(low), float(high), units)


def p_value(replicates: FloatArray, units: int) -> float:
    """Two-sided p of the hypothesis that a difference is 0: the level at which `interval` just reaches 0.

    One resample is added on either side, so that p is never 0. 1 where the difference is not defined.
    """
    defined = replicates[np.isfinite(replicates)]
    if units < 2 or not defined.size:
        return 1.0
    tail = (1 + min(np.sum(defined <= 0), np.sum(defined >= 0))) / (1 + defined.size)
    return float(min(1.0, 2 * stdtr(units - 1, ndtri(tail) * np.sqrt((units - 1) / units))))


def compare(
    variants: Sequence[FloatArray],
    statistic: Statistic,
    groups: Sequence[str] | None = None,
    pairs: Iterable[tuple[int, int]] | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
    level: float = 0.95,
) -> list[Comparison]:
    """Paired bootstrap of the differences of variants on the same images, Holm-corrected over `pairs` (default all).

    Each variant is counts (N, ...) of the same N images in the same order; every resample is the same for all. The
    interval of a difference is not corrected, the p and the verdict are. Many pairs need many repeats: p cannot fall
    below about 2 / repeats.
    """
    units = sum_units(np.stack(variants, axis=1), groups)
    figures = np.stack([statistic(sums) for sums in np.moveaxis(resample(units, repeats, seed), 1, 0)])
    values = statistic(units.sum(axis=0))
    chosen = list(combinations(range(len(variants)), 2) if pairs is None else pairs)
    corrected = holm([p_value(figures[first] - figures[second], len(units)) for first, second in chosen])
    comparisons = []
    for (first, second), p in zip(chosen, corrected, strict=True):
        value = float(values[first] - values[second])
        difference = interval(value, figures[first] - figures[second], len(units), level)
        comparisons.append(Comparison(first, second, difference, float(p), verdict(value, float(p), 1 - level)))
    return comparisons


def holm(p: Sequence[float]) -> FloatArray:
    """p values (M,) corrected for M tests (Holm 1979): the k-th smallest times M - k + 1, never falling, at most 1."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1)), 1)
    return corrected


def verdict(difference: float, p: float, alpha: float = 0.05) -> str:
    """What a report may say of a variant whose score is `difference` above another's, with the corrected `p`."""
    if not p < alpha or not difference:
        return "no difference shown"
    return "better" if difference > 0 else "worse"


def needed_units(
    difference: float, spread: float, units: int, tests: int = 1, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """How many units a paired test needs to find a difference of this size, with probability `power`.

    The least m with |difference| >= (t(1 - alpha / 2, m - 1) + t(power, m - 1)) * spread * sqrt(units / m), as for the
    mean of paired differences (Chow, Shao and Wang, Sample Size Calculations in Clinical Research, 2008, section 3.1);
    and at least so many that `p_value` can fall below alpha at all.

    Args:
        difference: that was measured on `units` units.
        spread: the standard deviation of its bootstrap replicates.
        units: at least two, else there is no spread.
        tests: that are corrected together; each has `alpha` divided by their number.

    Returns:
        None where there is no difference or no spread to go by, or `MOST_UNITS` are not enough.
    """
    if units < 2 or not difference or not np.isfinite(difference) or not np.isfinite(spread):
        return None
    of_one = spread * np.sqrt(units * units / (units - 1))  # the bootstrap's is too small by sqrt((n - 1) / n)

    level = alpha / tests

    def suffice(count: int) -> bool:
        tails = stdtrit(count - 1, 1 - level / 2) + stdtrit(count - 1, power)
        return abs(difference) >= tails * of_one / np.sqrt(count) and p_value(np.ones(REPEATS), count) < level

    if not suffice(MOST_UNITS):
        return None
    return bisect_left(range(2, MOST_UNITS), True, key=suffice) + 2  # enough for one is enough for more


def average_ranks(scores: FloatArray) -> FloatArray:
    """Mean rank (V,) of V variants over images by scores (N, V): 1 = best, ties share their mean rank.

    An image on which a variant has no score is left out for all.
    """
    from scipy.stats import rankdata

    complete = scores[np.isfinite(scores).all(axis=1)]
    return nan_mean(rankdata(-complete, axis=1).reshape(complete.shape), axis=0)


def alike(comparisons: Iterable[Comparison]) -> list[list[int]]:
    """The bars of a critical-difference picture: largest sets of variants with no difference shown within.

    Such sets may overlap ("no difference shown" is not "equal"); a variant that differs from all others is in none.
    `comparisons` should be those of all pairs; a pair that was not compared counts as different.
    """
    import networkx

    graph = networkx.Graph(
        (comparison.first, comparison.second)
        for comparison in comparisons
        if comparison.verdict == "no difference shown" and comparison.first != comparison.second
    )
    return sorted(sorted(clique) for clique in networkx.find_cliques(graph))
