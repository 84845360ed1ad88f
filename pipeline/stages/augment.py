"""Add turned and mirrored copies of the training tiles: `python -m pipeline.stages.augment <study> <run>`.

In: `plain.csv`. Out: `augmented.csv`, the plan on which augmented variants train. No pixel is written:
a row names its transform, and `pipeline.tiles.examples` applies it when the tile is read.
"""

import argparse

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base.errors import run_stage
from pipeline.base.params import Augment, read_params
from pipeline.tiles.plan import TILE, plan_folder, read_plan, write_plan
from pipeline.tiles.transforms import NAMED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("run", type=int)
    arguments = parser.parse_args()
    name, run = arguments.study, arguments.run
    params = read_params()
    study = params.study(name)
    folder = plan_folder(name, run, params.seed)
    plan = read_plan(folder / "plain.csv")
    augmented = augment(plan, study.augment, params.seed)
    write_plan(augmented, folder / "augmented.csv", study.split.leaky)
    rows = [(table["split"] == "train").sum() for table in (plan, augmented)]
    print(f"{rows[0]:,} training rows became {rows[1]:,}")


def augment(plan: pd.DataFrame, settings: Augment, seed: int) -> pd.DataFrame:
    """Make `factor` rows of every training row: itself where `original` says so, and transformed copies.

    Where the factor is told for each shard (BACH: class), a fraction is met by one more copy of some of its rows, which
    are drawn: 2.025 makes 162 rows of 80.

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
    for shard, rows in plan.reset_index(drop=True).query("split == 'train'").groupby("shard"):
        wanted[rows.index] = int(factor[str(shard)])
        more = round(factor[str(shard)] * len(rows)) - wanted[rows.index].sum()
        wanted[random.permutation(rows.index)[:more]] += 1
    return wanted


if __name__ == "__main__":
    run_stage(main)
