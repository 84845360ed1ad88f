"""Figures of classified images: ROC curves, confusion matrices, a detector's losses."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from pipeline.metrics import classification
from pipeline.metrics.votes import share
from pipeline.reporting.pictures import colours
from pipeline.reporting.style import figure

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # of losses; Okabe and Ito's
EDGE = [withStroke(linewidth=2.6, foreground="#555555")]  # yellow could not be seen on white without it
PANELS_A_ROW = 4
ROW_HEIGHT = 3.2  # inches


def roc_curves(votes: Mapping[str, pd.DataFrame], classes: Sequence[str], path: Path) -> None:
    """One panel a model, one curve a class against the rest, by the share of an image's votes.

    `votes` names the models; each has a row an image, with `truth` and `vote_<class>`. A class has its colour of
    the pictures.
    """
    tints = {label: tuple(value / 255 for value in tint) for label, tint in colours(classes).items()}
    with _panels(path, len(votes)) as (_, axes):
        for axis, (name, rows) in zip(axes.flat, votes.items(), strict=False):
            shares = share(rows[[f"vote_{label}" for label in classes]].to_numpy(np.float64))
            for code, label in enumerate(classes):
                positive = (rows["truth"] == label).to_numpy()
                false, true = classification.roc_curve(shares[:, code], positive)
                area = classification.roc_auc(shares[:, code], positive)
                axis.plot(false, true, color=tints[label], path_effects=EDGE, label=f"{label}, {float(area):.2f}")
            axis.plot([0, 1], [0, 1], color="#999999", linestyle=":")
            axis.set(title=name, xlabel="false positive rate", aspect="equal")
            axis.legend(loc="lower right", fontsize=8, title="area", title_fontsize=8)
        axes[0, 0].set_ylabel("true positive rate")


def confusions(matrices: Mapping[str, Sequence[Sequence[int]]], classes: Sequence[str], path: Path) -> None:
    """One panel a model: images of each true class (rows) and called class, the last column those without a call."""
    with _panels(path, len(matrices)) as (_, axes):
        for axis, (name, matrix) in zip(axes.flat, matrices.items(), strict=False):
            counts = np.array(matrix)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for (row, column), value in np.ndenumerate(counts):
                colour = "w" if shares[row, column] > 0.6 else "k"
                axis.text(column, row, str(value), ha="center", va="center", color=colour)
            axis.set_xticks(range(len(classes) + 1), [*classes, "no call"], rotation=45, ha="right")
            axis.set_yticks(range(len(classes)), classes)
            axis.set(title=name, xlabel="called")
            axis.grid(visible=False)
        axes[0, 0].set_ylabel("true class")


def losses(curves: Mapping[str, pd.DataFrame], path: Path) -> None:
    """One panel a model, one line a loss by epoch: training dashed, validation, where there is one, solid."""
    with _panels(path, len(curves), sharey=True) as (_, axes):
        for axis, (name, rows) in zip(axes.flat, curves.items(), strict=False):
            parts = [str(name).removeprefix("train_") for name in rows.columns if str(name).startswith("train_")]
            for colour, part in zip(COLOURS, parts, strict=True):
                for side, line in (("train", "--"), ("validation", "-")):
                    values = rows[f"{side}_{part}"]
                    label = "all" if part == "loss" else part.replace("_", " ")
                    axis.plot(rows["epoch"], values, line, color=colour, label=label if side == "train" else None)
            axis.set(title=name, xlabel="epoch", ylim=(0, None))
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0, 0].set_ylabel("loss")
        axes[0, 0].legend(fontsize=8)


def _panels(path: Path, count: int, **options: Any) -> Any:
    columns = min(count, PANELS_A_ROW)
    lines = ceil(count / PANELS_A_ROW)
    return figure(path, lines, columns, figsize=(3.4 * columns + 0.6, ROW_HEIGHT * lines + 0.4), **options)
