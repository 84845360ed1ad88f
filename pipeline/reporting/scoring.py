"""From per-image counts to figures: every score, its interval, and what a paired test says of two variants.

Counts of an image are summed over the units that are resampled (patients where known, else slides, else images); a
figure is computed from the sums of each run and averaged over the runs. A unit is drawn for all variants and all runs
together, since official rotations share test tiles.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.metrics import curve, detection, instance, pixel, stats
from pipeline.metrics.stats import FloatArray, nan_mean
from pipeline.reporting.results import NAMED, Variant

REPEATS = 2000  # resamples for an interval
PAIRED = 10_000  # for the tests of a table: the smallest p that they can find, times the tests, must be far below 0.05
RANKED = 50_000  # for the tests of all pairs, which are many
MEANS_OVER_CLASSES = ("mean_iou", "mean_iou_no_background", "dice_macro", "dice_macro_no_background")
CLASS_SCORES = ("iou", "precision", "recall", "f1")
ONE_CLASS = ("jaccard", "f1", "recall", "precision", "accuracy")  # of an image, where there is one class to find
CONFIDENCE = 0.95  # of an interval
NUCLEI = (*instance.COLUMNS, *instance.JOIN_COLUMNS)
Figures = dict[str, FloatArray]


@dataclass(frozen=True)
class Figure:
    """A score averaged over the runs, its 95 % interval over test units, and its standard deviation over the runs."""

    value: float
    low: float
    high: float
    sd: float | None  # None with one run


def pixel_figures(sums: Any, classes: Sequence[str]) -> Figures:
    """Scores of summed pixel counts (..., C, C)."""
    scores = {"iou": pixel.iou(sums), "precision": pixel.precision(sums), "recall": pixel.recall(sums)}
    scores["f1"] = pixel.f1(sums)
    by_class = {
        f"{score}_{name}": scores[score][..., code] for code, name in enumerate(classes) for score in CLASS_SCORES
    }
    return pixel.averages(sums, classes) | by_class


def mean_figures(sums: FloatArray, classes: Sequence[str]) -> Figures:
    """Scores that are means of images' scores, from sums (..., tissues, scores, 2); see `Evidence`."""
    images, tissues = stats.mean_score(sums.sum(axis=-3)), nan_mean(stats.mean_score(sums), axis=-2)
    of_pixels = ["mean_iou", *(ONE_CLASS if len(classes) == 2 else ())]
    figures = {f"{name}_of_images": images[..., position] for position, name in enumerate(of_pixels)}
    if images.shape[-1] == len(of_pixels):
        return figures
    of_nuclei = ["bpq", "mpq", *(f"pq_{name}" for name in classes[1:])]
    for position, name in enumerate(of_nuclei, start=len(of_pixels)):
        figures |= {f"{name}_images": images[..., position], f"{name}_tissues": tissues[..., position]}
    return figures


def nuclei_figures(sums: FloatArray, classes: Sequence[str]) -> Figures:
    """Scores of all test images' nuclei together, whatever their class, from sums (..., 2, 11).

    First those of the nuclei as the study finds them, then `components_*`, of every connected piece taken for a
    nucleus, then `parting_*`, the first minus the second.
    """
    quality = instance.panoptic_quality(sums)
    found = {"aji": instance.aggregated_jaccard(sums), "pq": quality.pq, "sq": quality.sq, "dq": quality.dq}
    found |= {name: sums[..., NUCLEI.index(name)] for name in instance.JOIN_COLUMNS}
    scores = detection.detection_scores(sums[..., len(NUCLEI) :])
    found |= {f"detection_{name}": values for name, values in scores._asdict().items()}
    return (
        {name: values[..., 0] for name, values in found.items()}
        | {f"components_{name}": values[..., 1] for name, values in found.items()}
        | {f"parting_{name}": values[..., 0] - values[..., 1] for name, values in found.items()}
    )


def class_detection_figures(sums: FloatArray, classes: Sequence[str]) -> Figures:
    """Precision, recall and F1 of found nuclei of each class, from sums (..., C - 1, 5)."""
    scores = detection.classification_scores(sums)._asdict()
    return {
        f"detection_{score}_{name}": values[..., position]
        for position, name in enumerate(classes[1:])
        for score, values in scores.items()
    }


def curve_figures(sums: FloatArray, classes: Sequence[str]) -> Figures:
    """Average precision of the target, from summed histograms (..., 2, STEPS)."""
    return {"average_precision": curve.average_precision(sums)}


KINDS: dict[str, Callable[[Any, Sequence[str]], Figures]] = {
    "pixels": pixel_figures,
    "histograms": curve_figures,
    "means": mean_figures,
    "nuclei": nuclei_figures,
    "class_detection": class_detection_figures,
}


def image_scores(variant: Variant, classes: Sequence[str]) -> FloatArray:
    """Scores of each row of a variant, (N, S): mean IoU, `ONE_CLASS`, bPQ, mPQ, PQ of each nucleus class.

    Those of `ONE_CLASS` where there is one class beside the background, the last three where the study has instances.
    """
    counts = variant.counts
    of_pixels = [pixel.mean(pixel.iou(counts))]
    if len(classes) == 2:
        of_class = (score(counts)[:, 1] for score in (pixel.iou, pixel.f1, pixel.recall, pixel.precision))
        of_pixels += [*of_class, pixel.pixel_accuracy(counts)]
    if variant.instances.empty:
        return np.stack(of_pixels, axis=1)
    per_class = np.stack([_columns(variant, name, instance.COLUMNS) for name in classes[1:]], axis=1)
    class_pq = instance.image_pq(per_class)
    binary_pq = instance.image_pq(_columns(variant, "binary", instance.COLUMNS))
    return np.column_stack([*of_pixels, binary_pq, nan_mean(class_pq, axis=1), class_pq])


def count_nuclei(variant: Variant, classes: Sequence[str]) -> dict[str, int]:
    """Annotated nuclei of each class in the test tiles; a tile that several runs test on counts once."""
    tiles = variant.instances.drop_duplicates(["dataset", "shard", "index"])
    return {name: int((tiles[f"{name}_tp"] + tiles[f"{name}_fn"]).sum()) for name in classes[1:]}


class Evidence:
    """The counts of all variants, which share their test images, and what can be said from them.

    `classes` are in the order of their codes, the background first. Each kind of counts is (units, variants, runs,
    ...); the scores behind "means" are those of `image_scores`, kept as stats.score_counts for each tissue.
    """

    def __init__(self, variants: Sequence[Variant], classes: Sequence[str], seed: int, slides: str = "slides") -> None:
        """`slides` is what the slide of a tile is called, where these are something else."""
        self.classes = classes
        self.seed = seed
        rows = variants[0].images
        unit, names = name_units(rows)
        self.unit = unit.replace("slides", slides)
        units, positions = np.unique(names, return_inverse=True)
        self.units = len(units)
        runs = rows.groupby(NAMED[:2], sort=False).ngroup().to_numpy()
        self.runs = int(runs.max()) + 1
        self.groups = sorted(set(rows["group"]))
        self.counts: dict[str, FloatArray] = {}
        for place, variant in enumerate(variants):
            for kind, values in self._kinds(variant).items():
                shape = (self.units, len(variants), self.runs, *values.shape[1:])
                counts = self.counts.setdefault(kind, np.zeros(shape))
                np.add.at(counts[:, place], (positions, runs), values)

    def _kinds(self, variant: Variant) -> dict[str, FloatArray]:
        groups = variant.images["group"].to_numpy()
        of_group = np.stack([groups == group for group in self.groups], axis=1)  # (N, T)
        scores = stats.score_counts(image_scores(variant, self.classes))
        kinds = {
            "pixels": np.asarray(variant.counts, np.float64),
            "means": of_group[:, :, None, None] * scores[:, None],
        }
        if not variant.histograms.empty:
            histograms = variant.histograms[curve.COLUMNS].to_numpy(np.float64)
            kinds["histograms"] = histograms.reshape(-1, 2, curve.STEPS)
        if variant.instances.empty:
            return kinds
        names = self.classes[1:]
        return kinds | {
            "nuclei": np.stack(
                [
                    np.hstack(
                        [_columns(variant, nuclei, NUCLEI), _columns(variant, found, detection.DETECTION_COLUMNS)]
                    )
                    for nuclei, found in (("binary", "detection"), ("components", "components_detection"))
                ],
                axis=1,
            ),
            "class_detection": np.stack(
                [_columns(variant, f"{name}_detection", detection.CLASS_COLUMNS) for name in names], axis=1
            ),
        }

    def by_run(self) -> Figures:
        """Every score of every variant and run, (variants, runs)."""
        return {
            name: values
            for kind, counts in self.counts.items()
            for name, values in KINDS[kind](counts.sum(axis=0), self.classes).items()
        }

    def figures(self) -> list[dict[str, Figure]]:
        """Every score of every variant, over its runs, with its interval."""
        scores = self.by_run()
        drawn = self._draw(set(scores), REPEATS)
        return [
            {
                name: self._figure(values[place], over_runs(drawn[name][:, place], values[place]))
                for name, values in scores.items()
            }
            for place in range(self.counts["pixels"].shape[1])
        ]

    def compare(self, tests: Sequence[tuple[str, int, int]]) -> list[stats.Comparison]:
        """Paired tests (score, first variant, second variant), first minus second, Holm-corrected over all of them."""
        scores = self.by_run()
        drawn = self._draw({score for score, _, _ in tests}, PAIRED)
        differences = []
        for score, first, second in tests:
            known = scores[score][first] - scores[score][second]
            replicates = over_runs(drawn[score][:, first] - drawn[score][:, second], known)
            differences.append((self._figure(known, replicates), stats.p_value(replicates, self.units)))
        corrected = stats.holm([p for _, p in differences]).tolist()
        return [
            stats.Comparison(
                first,
                second,
                stats.Interval(found.value, found.low, found.high, self.units),
                p,
                stats.verdict(found.value, p),
            )
            for (_, first, second), (found, _), p in zip(tests, differences, corrected, strict=True)
        ]

    def needed(self, score: str, first: int, second: int, tests: int) -> int | None:
        """How many units a verdict on two variants would need, one of so many tests; see `stats.needed_units`."""
        known = self.by_run()[score]
        drawn = self._draw({score}, PAIRED)[score]
        replicates = over_runs(drawn[:, first] - drawn[:, second], known[first] - known[second])
        difference = float(nan_mean(known[first] - known[second], axis=0))
        return stats.needed_units(difference, float(np.nanstd(replicates)), self.units, tests)

    @property
    def spanned(self) -> float:
        """Confidence with which the range of so many units' own values holds the median of all: 1 - 2 / 2^n."""
        return 1 - 2 * 0.5**self.units

    @property
    def few(self) -> bool:
        """Whether the units are too few for an interval: even the range of their own values holds too little."""
        return self.spanned < CONFIDENCE

    @property
    def least_p(self) -> float:
        """The smallest p that one paired test of so few units can give, before any correction."""
        return stats.p_value(np.ones(PAIRED), self.units)

    def compare_all(self, places: Sequence[int]) -> list[stats.Comparison]:
        """Paired tests of all pairs of variants, named by their position in `places`, by the mean IoU of images."""
        sums = self.counts["means"][:, :, :, :, 0].sum(axis=3)  # (units, variants, runs, 2)
        return stats.compare(
            [sums[:, place] for place in places],
            lambda drawn: nan_mean(stats.mean_score(drawn), axis=1),
            repeats=RANKED,
            seed=self.seed,
        )

    def _draw(self, names: set[str], repeats: int) -> Figures:
        """Scores (repeats, variants, runs) of resampled units.

        A resample that holds no pixel of a class that the test tiles hold has no mean over classes: it would be a mean
        over fewer classes, another score.
        """
        found: Figures = {}
        for kind, counts in self.counts.items():
            wanted = names & KINDS[kind](counts.sum(axis=0), self.classes).keys()
            blocks: list[Figures] = []
            for sums in stats.resamples(counts, repeats, self.seed) if wanted else ():
                drawn = KINDS[kind](sums, self.classes)
                if kind == "pixels":
                    lost = ((sums.sum(axis=-1) == 0) & (counts.sum(axis=(0, -1)) > 0)).any(axis=-1)
                    drawn |= {name: np.where(lost, np.nan, drawn[name]) for name in MEANS_OVER_CLASSES}
                blocks.append({name: drawn[name].copy() for name in wanted})  # a view would keep all others
            found |= {name: np.concatenate([block[name] for block in blocks]) for name in wanted}
        return found

    def _figure(self, values: FloatArray, replicates: FloatArray) -> Figure:
        found = stats.interval(float(nan_mean(values, axis=0)), replicates, self.units)
        return Figure(found.value, found.low, found.high, float(np.std(values, ddof=1)) if self.runs > 1 else None)


def over_runs(replicates: FloatArray, known: FloatArray) -> FloatArray:
    """Mean over the runs (R, L) -> (R,) of those in which the score exists, `known` (L,) being that of all units."""
    exists = np.isfinite(known)
    return np.asarray(np.where(exists, replicates, 0).sum(axis=1) / max(1, exists.sum()), np.float64)


def name_units(rows: pd.DataFrame) -> tuple[str, list[str]]:
    """What is resampled ("patients", "slides", "test tiles" or several of them), and the unit of each row."""
    columns = rows[["dataset", "patient", "slide", "shard", "index"]].astype(str)
    names, kinds = [], set()
    for dataset, patient, slide, shard, index in columns.itertuples(index=False):
        kind = "patients" if patient else "slides" if slide else "test tiles"
        kinds.add(kind)
        names.append(" ".join([kind, dataset, patient or slide or f"{shard} {index}"]))
    return " and ".join(kind for kind in ("patients", "slides", "test tiles") if kind in kinds), names


def _columns(variant: Variant, prefix: str, names: Sequence[str]) -> FloatArray:
    return variant.instances[[f"{prefix}_{name}" for name in names]].to_numpy(np.float64)
