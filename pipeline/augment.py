"""Add turned and mirrored copies of the training tiles: `python -m pipeline.augment <study> <run>`.

In: `plain.csv`. Out: `augmented.csv`, the plan on which augmented variants train. No pixel is written:
a row names its transform, and `pipeline.examples` applies it when the tile is read.
"""

import argparse

import numpy as np
import pandas as pd

from pipeline.errors import run_stage
from pipeline.params import Augment, read_params
from pipeline.plan import TILE, plan_folder, read_plan, write_plan
from pipeline.transforms import NAMED


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

    Validation and test rows stay as they are. The transforms of a row are drawn without repetition, and each copy is
    made with `probability`. Rows that balancing repeated draw anew.
    """
    random = np.random.default_rng(seed)
    recipes = [NAMED[name] for name in settings.transforms]
    training = (plan["split"] == "train").to_numpy()
    drawn: list[list[str]] = []
    for recipe, is_training in zip(plan["transform"], training, strict=True):
        drawn.append([recipe] if settings.original or not is_training else [])
        if is_training:
            copies = random.permutation(len(recipes))[: settings.factor - settings.original]
            if settings.probability < 1:
                copies = copies[random.random(len(copies)) < settings.probability]
            drawn[-1] += [recipes[i] for i in copies]
    rows = plan.loc[plan.index.repeat([len(made) for made in drawn])].copy()
    rows["transform"] = [recipe for made in drawn for recipe in made]
    rows["copy"] = rows.groupby(TILE).cumcount() + np.where(rows["split"] == "train", not settings.original, 0)
    return rows.reset_index(drop=True)


if __name__ == "__main__":
    run_stage(main)
