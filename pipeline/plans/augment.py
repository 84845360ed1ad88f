"""Transformed copies of training rows."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.study_blocks import Augment
from pipeline.tiles.plan import TILE
from pipeline.tiles.transforms import NAMED


def augment(plan: pd.DataFrame, settings: Augment, seed: int) -> pd.DataFrame:
    """Make `factor` rows of every training row: itself where `original` says so, and transformed copies.

    Where each class has a shard and a factor of its own (BACH), a fraction is met by one more copy of some of its rows,
    which are drawn: 2.025 makes 162 rows of 80.

    Validation and test rows stay as they are. The transforms of a row are drawn without repetition, and each copy is
    made with `probability`. Rows that balancing repeated draw anew.
    """
    random = np.random.default_rng(seed)
    recipes = [NAMED[name] for name in settings.transforms]
    training = (plan["split"] == "train").to_numpy()
    wanted = wanted_rows(plan, settings.factor, seed)
    drawn: list[list[str]] = []
    for recipe, is_training, count in zip(plan["transform"], training, wanted, strict=True):
        drawn.append([recipe] if settings.original or not is_training else [])
        if is_training:
            copies = random.permutation(len(recipes))[: count - settings.original]
            if settings.probability < 1:
                copies = copies[random.random(len(copies)) < settings.probability]
            drawn[-1] += [recipes[i] for i in copies]
    rows = plan.loc[plan.index.repeat([len(made) for made in drawn])].copy()
    rows["transform"] = [recipe for made in drawn for recipe in made]
    rows["copy"] = rows.groupby(TILE).cumcount() + np.where(rows["split"] == "train", not settings.original, 0)
    return rows.reset_index(drop=True)


def wanted_rows(plan: pd.DataFrame, factor: int | dict[str, float], seed: int) -> npt.NDArray[np.int64]:
    """How many rows `factor` makes of each row, (rows,), where it is a training row."""
    if isinstance(factor, int):
        return np.full(len(plan), factor)
    wanted = np.zeros(len(plan), np.int64)
    random = np.random.default_rng([seed, 1])
    of_shard = {name.replace("_", "").lower(): value for name, value in factor.items()}  # in_situ: shard insitu
    for shard, rows in plan.reset_index(drop=True).query("split == 'train'").groupby("shard"):
        if str(shard) not in of_shard:
            raise Problem(
                f"augment.factor names {', '.join(factor)}, but the tiles have a class {shard}; name it, too."
            )
        wanted[rows.index] = int(of_shard[str(shard)])
        more = round(of_shard[str(shard)] * len(rows)) - wanted[rows.index].sum()
        wanted[random.permutation(rows.index)[:more]] += 1
    return wanted
