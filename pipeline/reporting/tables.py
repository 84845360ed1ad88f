"""The tables of a comparison, as rows of plain values; templates say how they look."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import pandas as pd

from pipeline.metrics import pixel
from pipeline.metrics.stats import Comparison
from pipeline.reporting.paper import Paper
from pipeline.reporting.published import Published
from pipeline.reporting.results import Variant
from pipeline.reporting.scoring import Evidence, Figure

CHANGES = ("augmented", "balanced")  # what an ablation sets against `plain`


def difference(ours: float | None, published: float | None) -> float | None:
    """ours - published, where there are both."""
    return None if ours is None or published is None else ours - published


def rows(
    variants: Sequence[Variant],
    figures: Sequence[dict[str, Figure]],
    published: Published,
    paper: Paper,
    encoder: str | None,
) -> list[dict[str, Any]]:
    """One row a variant: its names, its figures, and the published ones with their differences to ours.

    The rows of `encoder` are marked, and that of the trained variant with the highest headline score is called `best`.
    """
    result = []
    for variant, found in zip(variants, figures, strict=True):
        row: dict[str, Any] = {
            "variant": variant.name,
            "model": paper.model(published, variant.name),
            "plan": variant.plan,
            "marked": variant.name == encoder,
            "best": False,
            "baseline": variant.is_baseline,
            "figures": found,
            "published": {},
            "difference": {},
        }
        for name in paper.printed:
            value = paper.value(published, variant.name, variant.plan, name)
            row["published"][name] = value
            row["difference"][name] = difference(found[name].value, value)
        result.append(row)
    result[best_row(result, paper.score)]["best"] = True
    return result


def best_row(rows: Sequence[dict[str, Any]], score: str) -> int:
    """The position of the trained variant with the highest score."""
    trained = [position for position, row in enumerate(rows) if not row["baseline"]]
    return max(trained, key=lambda position: rows[position]["figures"][score].value)


def classes(
    rows: Sequence[dict[str, Any]], nuclei: Mapping[str, int], published: Published, table: str, min_count: int
) -> list[list[dict[str, Any]]]:
    """For each row a cell a nucleus class: its figures, the F1 of pixels in a published table, whether it is rare."""
    return [
        [
            {
                "name": name,
                "nuclei": count,
                "few": count < min_count,
                "published": published.value(table, row["variant"], row["plan"], "f1", name),
                **{score: row["figures"][f"{score}_{name}"] for score in ("f1", "precision", "recall", "detection_f1")},
                "pq": row["figures"][f"pq_{name}_images"],
            }
            for name, count in nuclei.items()
        ]
        for row in rows
    ]


def against_best(evidence: Evidence, rows: Sequence[dict[str, Any]], score: str) -> list[dict[str, Any]]:
    """Each other row tested against the best one by a score; the nearest first."""
    best = best_row(rows, score)
    others = [position for position in range(len(rows)) if position != best]
    tests = evidence.compare([(score, position, best) for position in others])
    found = [rows[test.first] | {"test": test} for test in tests]
    return sorted(found, key=lambda row: -row["test"].difference.value)


def next_best(
    evidence: Evidence, rows: Sequence[dict[str, Any]], tested: Sequence[dict[str, Any]], score: str
) -> dict[str, Any] | None:
    """The second best trained variant as `against_best` has it, and the units `needed` to tell it from the best.

    None where one variant alone was trained.
    """
    best = best_row(rows, score)
    others = [place for place, row in enumerate(rows) if not row["baseline"] and place != best]
    if not others:
        return None
    second = max(others, key=lambda place: rows[place]["figures"][score].value)
    mine = next(
        row for row in tested if (row["variant"], row["plan"]) == (rows[second]["variant"], rows[second]["plan"])
    )
    return mine | {"needed": evidence.needed(score, best, second, len(tested))}


def ablations(evidence: Evidence, rows: Sequence[dict[str, Any]], scores: Sequence[str]) -> list[dict[str, Any]]:
    """What augmentation and balancing change: one row a variant and change, its tests by score; one table of tests."""
    place = {(row["variant"], row["plan"]): position for position, row in enumerate(rows)}
    pairs = [
        (place[variant, change], place[variant, "plain"])
        for change in CHANGES
        for variant, plan in place
        if plan == change and (variant, "plain") in place
    ]
    tests: list[Comparison] = evidence.compare([(score, *pair) for pair in pairs for score in scores])
    result = []
    for position, (changed, plain) in enumerate(pairs):
        row, before = rows[changed], rows[plain]
        result.append(
            {
                "model": row["model"],
                "marked": row["marked"],
                "best": row["best"],
                "baseline": False,
                "change": row["plan"],
                "published": difference(row["published"].get(scores[0]), before["published"].get(scores[0])),
                "plain": before["figures"],
                "tests": dict(zip(scores, tests[len(scores) * position :][: len(scores)], strict=True)),
            }
        )
    return result


def epochs(variant: Variant, published: Published, paper: Paper, classes: int) -> list[dict[str, Any]]:
    """Learning curves of a variant's first run beside the published ones, a row an epoch of either.

    Loss and one-vs-rest accuracy, of training and validation; None where one of the two has ended.
    """
    curves = variant.curves
    first = (curves["run"] == curves["run"].iloc[0]) & (curves["seed"] == curves["seed"].iloc[0])
    ours = curves[first].set_index("epoch")
    result = []
    for epoch in range(1, max(len(ours), sum(published.rows["table"].str.startswith("epoch ")) // 4) + 1):
        row: dict[str, Any] = {"epoch": epoch}
        for side in ("train", "validation"):
            for metric in ("loss", "accuracy"):
                printed = published.of_variant(f"epoch {epoch}", paper.names.get(variant.name), metric, "all", side)
                row[f"{side}_{metric}_published"] = printed
            if epoch in ours.index:
                row[f"{side}_loss"] = float(ours.loc[epoch, f"{side}_loss"])
                accuracy = ours.loc[epoch, f"{side}_accuracy"]
                row[f"{side}_accuracy"] = float(pixel.one_vs_rest_accuracy(accuracy, classes))
            else:
                row |= {f"{side}_loss": None, f"{side}_accuracy": None}
        result.append(row)
    return result


def by_verdict(rows: Sequence[dict[str, Any]], score: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """The rows that each verdict was given, those verdicts only that were given.

    `rows` are those of `against_best`, or, with a `score`, those of `ablations`.
    """
    found: dict[str, list[dict[str, Any]]] = {"better": [], "no difference shown": [], "worse": []}
    for row in rows:
        test: Comparison = row["tests"][score] if score else row["test"]
        found[test.verdict].append(row)
    return {name: mine for name, mine in found.items() if mine}


def scores_table(study: str, source: str, variants: Sequence[Variant], evidence: Evidence) -> pd.DataFrame:
    """Every score of every variant and run, one row each, nothing that depends on the machine."""
    scores = evidence.by_run()
    result = []
    for place, variant in enumerate(variants):
        for position, run in enumerate(variant.runs):
            row = {"study": study, "source": source, "variant": variant.name, "plan": variant.plan}
            row |= {name: getattr(run, name) for name in ("run", "seed", "epochs_run", "best_epoch")}
            row |= {name: getattr(variant.runs[0], name) for name in ("weights", "parameters", "flops_per_image")}
            result.append(row | {name: values[place, position] for name, values in scores.items()})
    return pd.DataFrame(result)


def intervals_table(
    study: str, source: str, variants: Sequence[Variant], figures: Sequence[dict[str, Figure]], evidence: Evidence
) -> pd.DataFrame:
    """Every figure as the report prints it, one row each: mean over the runs, standard deviation, interval."""
    return pd.DataFrame(
        {
            "study": study,
            "source": source,
            "variant": variant.name,
            "plan": variant.plan,
            "score": name,
            "value": figure.value,
            "sd": figure.sd,
            "low": figure.low,
            "high": figure.high,
            "runs": evidence.runs,
            "unit": evidence.unit,
            "units": evidence.units,
        }
        for variant, found in zip(variants, figures, strict=True)
        for name, figure in found.items()
        if isfinite(figure.value)
    )


def stacked(variants: Sequence[Variant], attribute: str) -> pd.DataFrame:
    """A table of each variant (`curves`, `images` or `instances`) below each other, the variant's names in front.

    Empty where no variant has it.
    """
    tables = []
    for variant in variants:
        table = getattr(variant, attribute)
        if len(table):
            named = {"variant": variant.name, "plan": variant.plan}
            tables.append(pd.concat([pd.DataFrame(named, index=table.index), table], axis=1))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
