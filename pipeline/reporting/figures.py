"""The figures of a comparison, drawn from its tables."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pipeline.reporting.results import Variant
from pipeline.reporting.style import COLOURS, NEUTRAL, figure

MODELS_A_ROW = 3


def ranking(rows: Sequence[dict[str, Any]], floor: float, path: Path, published_label: str) -> None:
    """Mean IoU of each model, best on top: plain, augmented, and the published figures as hollow marks.

    Args:
        rows: those of `tables.segmentation`.
        floor: mean IoU of the constant prediction, drawn as a line.
        path: the PNG to write.
        published_label: what the legend calls the published figures.
    """
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    pairs = sorted(pairs, key=lambda pair: -max(row["mean_iou"] for row in pair))[::-1]  # drawn from the bottom up
    with figure(path, figsize=(8, 1.6 + 0.45 * len(pairs))) as (drawing, axes):
        axis = axes[0, 0]
        axis.axvline(floor, color=NEUTRAL, linestyle=":", zorder=1)
        for height, pair in enumerate(pairs):
            axis.plot([row["mean_iou"] for row in pair], [height, height], color="#BBBBBB", linewidth=2, zorder=2)
            for row in pair:
                colour = COLOURS[row["augmentation"]]
                axis.plot(row["mean_iou"], height, "o", color=colour, markersize=9, zorder=4)
                if row["mean_iou_published"] is not None:
                    hollow = {"markerfacecolor": "none", "markersize": 8, "zorder": 3}
                    axis.plot(row["mean_iou_published"], height - 0.22, "D", color=colour, **hollow)
        axis.set_yticks(range(len(pairs)), [_marked(pair[0]) for pair in pairs])
        axis.set(xlabel="mean IoU, background counted", xlim=(0, None), ylim=(-0.6, len(pairs) - 0.4))
        axis.grid(axis="y", visible=False)
        handles = [
            *(Line2D([], [], color=COLOURS[name], marker="o", linestyle="", label=name) for name in COLOURS),
            Line2D([], [], color=NEUTRAL, marker="D", linestyle="", markerfacecolor="none", label=published_label),
            Line2D([], [], color=NEUTRAL, linestyle=":", label="background everywhere"),
        ]
        drawing.legend(handles=handles, loc="outside lower center", ncols=4)


def learning_curves(variants: Sequence[Variant], labels: Sequence[str], path: Path) -> None:
    """Loss by epoch, one panel a model: training dashed, validation solid, a dot at the epoch whose weights were kept.

    `variants` are plain and augmented in turn, `labels` one a model.
    """
    lines = {"train_loss": "--", "validation_loss": "-"}
    _curves(variants, labels, lines, path, "loss", log=True)


def validation_curves(variants: Sequence[Variant], labels: Sequence[str], path: Path) -> None:
    """Mean IoU of the validation tiles by epoch, one panel a model."""
    _curves(variants, labels, {"validation_mean_iou": "-"}, path, "validation mean IoU", log=False)


def confusions(variants: Sequence[Variant], labels: Sequence[str], classes: Sequence[str], path: Path) -> None:
    """A matrix a variant: of each true class's pixels, the percentage given to each class (rows add up to 100)."""
    rows = ceil(len(variants) / 4)
    options = {"figsize": (11, 2.9 * rows + 0.6), "sharex": True, "sharey": True}
    with figure(path, rows, 4, **options) as (drawing, axes):
        for axis in axes.flat[len(variants) :]:
            axis.axis("off")
        for position, (axis, variant) in enumerate(zip(axes.flat, variants, strict=False)):
            total = variant.counts.sum(axis=0)
            pixels = total.sum(axis=1, keepdims=True)
            percent = 100 * np.divide(total, pixels, out=np.zeros(total.shape), where=pixels > 0)
            axis.imshow(percent, cmap="Blues", vmin=0, vmax=100)
            for (row, column), value in np.ndenumerate(percent):
                text = f"{value:.0f}" if pixels[row] else "–"
                axis.text(column, row, text, ha="center", va="center", fontsize=8, color="w" if value > 60 else "k")
            axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
            axis.set_yticks(range(len(classes)), classes)
            axis.set_title(f"{labels[position // 2]}\n{variant.augmentation}", fontsize=9)
            axis.grid(visible=False)
            axis.tick_params(labelbottom=position + 4 >= len(variants), labelsize=9)
        drawing.supylabel("true class (rows: % of its pixels)")
        drawing.supxlabel("predicted class")


def _curves(
    variants: Sequence[Variant], labels: Sequence[str], lines: dict[str, str], path: Path, ylabel: str, log: bool
) -> None:
    rows = ceil(len(labels) / MODELS_A_ROW)
    with figure(path, rows, MODELS_A_ROW, figsize=(10, 2.6 * rows + 0.6), sharey=True) as (drawing, axes):
        for axis in axes.flat[len(labels) :]:
            axis.axis("off")
        for position, variant in enumerate(variants):
            axis, colour = axes.flat[position // 2], COLOURS[variant.augmentation]
            curves = variant.curves.set_index("epoch")
            for column, line in lines.items():
                axis.plot(curves.index, curves[column], line, color=colour, linewidth=1.5)
            best = variant.training["best_epoch"]
            axis.plot(best, curves.loc[best, column], "o", color=colour)  # on the last line drawn, validation
            axis.set(title=labels[position // 2], xlabel="epoch", yscale="log" if log else "linear")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            if log:
                axis.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
                axis.yaxis.set_major_formatter("{x:g}")  # 0.5, not 5 x 10^-1
                axis.yaxis.set_minor_formatter(NullFormatter())
        for axis in axes[:, 0]:
            axis.set_ylabel(ylabel)
        handles = [Line2D([], [], color=colour, label=name) for name, colour in COLOURS.items()]
        if len(lines) > 1:
            handles += [Line2D([], [], color="k", linestyle=s, label=c.split("_")[0]) for c, s in lines.items()]
        handles.append(Line2D([], [], color="k", marker="o", linestyle="", label="weights kept"))
        drawing.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _marked(row: dict[str, Any]) -> str:
    return f"{row['model']} (encoder)" if row["marked"] else str(row["model"])
