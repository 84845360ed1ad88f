"""Whether what a study looks for is on the sides of a split that need it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base.errors import Problem
from pipeline.tiles.plan import SPLITS

Held = npt.NDArray[np.bool_]


def check_target(plan: pd.DataFrame, lesion: Held, target: str, cure: str) -> list[str]:
    """Refuse a split whose training or test tiles have no target, `lesion` (rows,) being whether each row's has.

    Returns what a person should know beside it, a sentence each.

    Raises:
        Problem: naming the sides that have it, and on how many slides.
    """
    if not lesion.any():
        raise Problem(
            f"no tile has {target}, on any side of the split; look for it in the outlines of the slides, or {cure}."
        )
    for side, what in (("train", "learn it from"), ("test", "test it on")):
        if not _on(plan, lesion, side):
            raise Problem(
                f"no {side} tile has {target}, so that there is nothing to {what}: {_where(plan, lesion)}; add slides"
                f" with {target}, or {cure}."
            )
    if (plan["split"] == "validation").any() and not _on(plan, lesion, "validation"):
        return [f"No validation tile has {target}: the best epoch is chosen by tiles without it."]
    return []


def check_both(plan: pd.DataFrame, lesion: Held, target: str, cure: str) -> None:
    """Refuse training tiles which all have the target, where a classifier has to tell those without it.

    Raises:
        Problem: saying so.
    """
    if not _on(plan, ~lesion, "train"):
        raise Problem(
            f"every train tile has {target}, so that a classifier of tiles has nothing to tell it from; raise"
            f" `lesion_free` or `at_least` of the data set's `tiling` in params.yaml, or {cure}."
        )


def check_classes(
    plan: pd.DataFrame, nuclei: npt.NDArray[np.int64], classes: Sequence[str], strict: bool, cure: str
) -> list[str]:
    """Say which classes have nuclei elsewhere and none on the training side; `nuclei` (rows, C) of each row's tile.

    Nothing is said of data without nuclei.

    Raises:
        Problem: the training side has no nucleus at all, or, where `strict`, none of one class.
    """
    lost = [
        (name, nuclei[:, code] > 0)
        for code, name in enumerate(classes)
        if nuclei[:, code].any() and not _on(plan, nuclei[:, code] > 0, "train")
    ]
    everything = len(lost) == np.count_nonzero(nuclei.any(axis=0))
    said = [f"no train tile has a nucleus of {name}: {_where(plan, held)}" for name, held in lost]
    if said and (strict or everything):
        raise Problem(f"{said[0]}; add images with {lost[0][0]}, or {cure}.")
    return [sentence[0].upper() + sentence[1:] + "." for sentence in said]


def _on(plan: pd.DataFrame, held: Held, side: str) -> bool:
    return bool(held[(plan["split"] == side).to_numpy()].any())


def _where(plan: pd.DataFrame, held: Held) -> str:
    """Tiles and slides that have it, by side."""
    rows = plan[held].assign(slide=plan["slide"].where(plan["slide"] != "", plan["shard"]))
    parts = []
    for side in SPLITS:
        mine = rows[rows["split"] == side]
        if len(mine):
            slides = mine.groupby(["dataset", "slide"]).ngroups
            parts.append(
                f"{len(mine):,} {side} tile{'s' * (len(mine) > 1)} of {slides:,} slide{'s' * (slides > 1)} ha"
                f"{'ve' if len(mine) > 1 else 's'} it"
            )
    return " and ".join(parts)
