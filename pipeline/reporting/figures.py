"""The figures of a comparison, drawn from its tables."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pipeline.metrics import stats
from pipeline.metrics.stats import FloatArray
from pipeline.reporting.results import Variant
from pipeline.reporting.style import COLOURS, NEUTRAL, figure

MODELS_A_ROW = 3
MANY_CLASSES = 8  # more than these need larger panels
PANELS_A_ROW = {MANY_CLASSES: 4, 12: 3}  # of matrices with so many classes at most; of larger ones 2
FLOORS = {"background": ":", "commonest": ":", "otsu": "--"}  # how the line of a baseline is drawn


def ranking(
    rows: Sequence[dict[str, Any]], score: str, label: str, path: Path, published_label: str, least: float = 0.0
) -> None:
    """A score of each model with its interval, best on top; published figures as hollow marks, baselines as lines.

    Args:
        rows: those of `tables.rows`.
        score: which of their figures.
        label: what the axis calls it.
        path: the PNG to write.
        published_label: what the legend calls the published figures.
        least: where the axis begins.
    """
    models = _by_model([row for row in rows if not row["baseline"]])
    models.sort(key=lambda group: max(row["figures"][score].value for row in group))  # drawn from the bottom up
    with figure(path, figsize=(8, 1.8 + 0.55 * len(models))) as (drawing, axes):
        axis = axes[0, 0]
        handles = [
            *(Line2D([], [], color=colour, marker="o", label=plan) for plan, colour in _colours(rows).items()),
        ]
        if any(value is not None for row in rows for value in row["published"].values()):
            handles.append(
                Line2D([], [], color=NEUTRAL, marker="D", linestyle="", markerfacecolor="none", label=published_label)
            )
        for row in rows:
            if row["baseline"]:
                style, value = FLOORS[row["variant"]], row["figures"][score].value
                axis.axvline(value, color=NEUTRAL, linestyle=style, zorder=1)
                handles.append(Line2D([], [], color=NEUTRAL, linestyle=style, label=row["model"]))
        for height, group in enumerate(models):
            for step, row in enumerate(group):
                found, colour = row["figures"][score], COLOURS[row["plan"]]
                place = height + 0.2 * ((len(group) - 1) / 2 - step)
                axis.plot([found.low, found.high], [place, place], color=colour, linewidth=2, alpha=0.5, zorder=2)
                axis.plot(found.value, place, "o", color=colour, markersize=8, zorder=4)
                if row["published"].get(score) is not None:
                    hollow = {"markerfacecolor": "none", "markersize": 7, "zorder": 3}
                    axis.plot(row["published"].get(score), place, "D", color=colour, **hollow)
        axis.set_yticks(range(len(models)), [_marked(group[0]) for group in models])
        axis.set(xlabel=f"{label}; bars: 95 % interval", xlim=(least, None))
        axis.set_ylim(-0.6, len(models) - 0.4)
        axis.grid(axis="y", visible=False)
        drawing.legend(handles=handles, loc="outside lower center", ncols=3)


def ranks(rows: Sequence[dict[str, Any]], average: FloatArray, tests: Sequence[stats.Comparison], path: Path) -> None:
    """Average ranks of variants, best on top; a bar on the right joins those between which no difference was shown.

    A critical-difference picture (Demšar 2006) turned on its side, with the groups of `stats.alike`.
    """
    order = np.argsort(average, kind="stable")
    height_of = {int(variant): -height for height, variant in enumerate(order)}
    groups = sorted(stats.alike(tests), key=lambda group: min(average[group]))
    last = float(np.ceil(average.max()))
    with figure(path, figsize=(8, 1.6 + 0.32 * len(rows))) as (_, axes):
        axis = axes[0, 0]
        for variant, height in height_of.items():
            colour = COLOURS[rows[variant]["plan"]]
            axis.plot([1, average[variant]], [height, height], color="#E4E4E4", zorder=1)
            axis.plot(average[variant], height, "o", color=colour, markersize=8, zorder=3)
            axis.annotate(f"{average[variant]:.1f}", (average[variant], height), (8, -3.5), textcoords="offset points")
        for column, group in enumerate(groups):
            heights = [height_of[variant] for variant in group]
            place = last + 1 + 0.5 * column
            axis.plot([place] * 2, [max(heights), min(heights)], color="k", linewidth=2.5, solid_capstyle="butt")
            axis.plot([place] * len(heights), heights, "o", color="k", markersize=5)
        names = [f"{_marked(rows[variant])}, {rows[variant]['plan']}" for variant in height_of]
        axis.set_yticks(list(height_of.values()), names)
        axis.set_xticks(range(1, int(last) + 1))
        axis.set(xlim=(0.6, last + 1.5 + 0.5 * len(groups)), ylim=(-len(rows) + 0.4, 0.6))
        axis.set_xlabel("average rank, 1 = best", loc="left")
        if groups:
            middle = last + 1 + 0.25 * (len(groups) - 1)
            axis.text(middle, 0.75, "no difference\nshown between", ha="center", va="bottom")
        axis.grid(visible=False)


def learning_curves(variants: Sequence[Variant], rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss by epoch, one panel a model: training dashed, validation solid, a dot at the epoch whose weights were kept.

    `variants` are trained ones, `rows` their rows of `tables.rows`. Where a study has no validation tiles there is no
    line of theirs, and the dot is on that of training.
    """
    lines = {"train_loss": "--"} | ({"validation_loss": "-"} if validated(variants) else {})
    _curves(variants, rows, lines, path, "loss", log=True)


def validation_curves(variants: Sequence[Variant], rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Mean IoU of the validation tiles by epoch, one panel a model."""
    _curves(variants, rows, {"validation_mean_iou": "-"}, path, "validation mean IoU", log=False)


def validated(variants: Sequence[Variant]) -> bool:
    """Whether the study has validation tiles, so that there are curves of theirs."""
    return any(variant.curves["validation_loss"].notna().any() for variant in variants)


def speed(
    rows: Sequence[dict[str, Any]],
    speeds: Sequence[dict[str, Any] | None],
    score: str,
    label: str,
    path: Path,
) -> None:
    """A score of each trained variant against images per second: hollow one at a time, filled in the best batch.

    `speeds` are those of `repeats.speeds`, one a row of `tables.rows`.
    """
    with figure(path, figsize=(8, 4.5)) as (drawing, axes):
        axis = axes[0, 0]
        for row, rates in zip(rows, speeds, strict=True):
            if rates is None:
                continue
            found, colour = row["figures"][score], COLOURS[row["plan"]]
            axis.plot([rates["best"]] * 2, [found.low, found.high], color=colour, linewidth=2, alpha=0.4)
            axis.plot(rates["best"], found.value, "o", color=colour, markersize=8)
            if rates["one"] is not None:
                axis.plot([rates["one"], rates["best"]], [found.value] * 2, color=colour, linewidth=1, linestyle=":")
                axis.plot(rates["one"], found.value, "o", color=colour, markersize=8, markerfacecolor="w")
            name = row["model"] if row["plan"] == "augmented" else f"{row['model']}, {row['plan']}"
            axis.annotate(name, (rates["best"], found.value), (9, 4), textcoords="offset points")
        axis.set(xscale="log", xlabel="images per second (log scale)", ylabel=f"{label}; bars: 95 % interval")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.margins(x=0.2)
        handles = [
            Line2D([], [], color=NEUTRAL, marker="o", linestyle="", markerfacecolor=inside, label=label)
            for inside, label in ((NEUTRAL, "best batch"), ("w", "one at a time"))
        ]
        drawing.legend(handles=handles, loc="outside lower center", ncols=2)


def confusions(variants: Sequence[Variant], rows: Sequence[dict[str, Any]], classes: Sequence[str], path: Path) -> None:
    """A matrix a variant: of each true class's pixels, the percentage given to each class (rows add up to 100).

    Of more than eight classes those that are in neither truth nor any prediction are left out.
    """
    totals = np.stack([variant.counts.sum(axis=0) for variant in variants])
    codes = list(range(len(classes)))
    if len(classes) > MANY_CLASSES:
        occurs = totals.sum(axis=(0, 1)) + totals.sum(axis=(0, 2)) > 0
        codes = [code for code in codes if occurs[code]]
    names = [classes[code] for code in codes]
    most = next((panels for classes, panels in PANELS_A_ROW.items() if len(names) <= classes), 2)
    across = min(most, len(variants))
    lines, width = ceil(len(variants) / across), 11 * max(across, 2) / most
    options = {"figsize": (width, (11.6 / most) * lines + 1.2), "sharex": True, "sharey": True}
    with figure(path, lines, across, **options) as (drawing, axes):
        for axis in axes.flat[len(variants) :]:
            axis.axis("off")
        for position, (axis, variant) in enumerate(zip(axes.flat, variants, strict=False)):
            total = totals[position][np.ix_(codes, codes)]
            pixels = total.sum(axis=1, keepdims=True)
            percent = 100 * np.divide(total, pixels, out=np.zeros(total.shape), where=pixels > 0)
            axis.imshow(percent, cmap="Blues", vmin=0, vmax=100)
            for (row, column), value in np.ndenumerate(percent):
                text = f"{value:.0f}" if pixels[row] else "–"
                axis.text(column, row, text, ha="center", va="center", fontsize=8, color="w" if value > 60 else "k")
            axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
            axis.set_yticks(range(len(names)), names)
            axis.set_title(f"{rows[position]['model']}\n{variant.plan}", fontsize=9)
            axis.grid(visible=False)
            axis.tick_params(labelbottom=position + across >= len(variants), labelsize=9)
        drawing.supylabel("true class (rows: % of its pixels)")
        drawing.supxlabel("predicted class")


def _curves(
    variants: Sequence[Variant],
    rows: Sequence[dict[str, Any]],
    lines: dict[str, str],
    path: Path,
    ylabel: str,
    log: bool,
) -> None:
    models = list(dict.fromkeys(row["model"] for row in rows))
    across = min(len(models), MODELS_A_ROW)
    height, width = ceil(len(models) / across), max(6, 10 * across / MODELS_A_ROW)  # the legend needs 6 inches
    with figure(path, height, across, figsize=(width, 2.6 * height + 0.6), sharey=True) as (drawing, axes):
        for axis in axes.flat[len(models) :]:
            axis.axis("off")
        for variant, named in zip(variants, rows, strict=True):
            axis, colour = axes.flat[models.index(named["model"])], COLOURS[variant.plan]
            for run in variant.runs:
                mine = (variant.curves["run"] == run.run) & (variant.curves["seed"] == run.seed)
                curves = variant.curves[mine].set_index("epoch")
                for column, line in lines.items():
                    axis.plot(curves.index, curves[column], line, color=colour, linewidth=1.5)
                best = run.best_epoch
                axis.plot(best, curves[column].to_dict()[best], "o", color=colour)  # on the last line drawn, validation
            axis.set(title=named["model"], xlabel="epoch", yscale="log" if log else "linear")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            if log:
                axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.yaxis.set_major_formatter("{x:g}")  # 0.5, not 5 x 10^-1
                axis.yaxis.set_minor_formatter(NullFormatter())
        for axis in axes[:, 0]:
            axis.set_ylabel(ylabel)
        handles = [Line2D([], [], color=colour, label=plan) for plan, colour in _colours(rows).items()]
        if "--" in lines.values():
            handles += [Line2D([], [], color="k", linestyle=s, label=c.split("_")[0]) for c, s in lines.items()]
        handles.append(Line2D([], [], color="k", marker="o", linestyle="", label="weights kept"))
        drawing.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _by_model(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The rows of each model together."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["model"], []).append(row)
    return list(groups.values())


def _colours(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The colours of the plans on which any row's model was trained."""
    plans = {row["plan"] for row in rows if not row["baseline"]}
    return {plan: colour for plan, colour in COLOURS.items() if plan in plans}


def _marked(row: dict[str, Any]) -> str:
    return f"{row['model']} (encoder)" if row["marked"] else str(row["model"])
