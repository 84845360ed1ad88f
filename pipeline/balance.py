"""Repeat training tiles that hold rare classes.

In: `split.csv`. Out: `plain.csv`, the plan on which variants without augmentation train.
"""

import argparse

import numpy as np
import pandas as pd

from pipeline.errors import run_stage
from pipeline.params import Balance, read_params
from pipeline.plan import TILE, plan_folder, read_plan, write_plan
from pipeline.tiles import shards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    name = parser.parse_args().study
    params = read_params()
    study = params.study(name)
    folder = plan_folder(name, study.run, params.seed)
    plan = read_plan(folder / "split.csv")
    if study.balance.method == "oversample":
        nuclei = count_nuclei(study.datasets, len(study.classes))
        plan = oversample(plan, nuclei, study.balance)
    write_plan(plan, folder / "plain.csv")
    print(f"{(plan['split'] == 'train').sum():,} training rows")


def count_nuclei(names: list[str], classes: int) -> pd.DataFrame:
    """Nuclei of each class code (columns) in every tile (rows, by dataset, shard, index) that holds any."""
    frames = []
    for name in names:
        for shard in shards(name):
            nuclei = shard.nuclei()
            counts = pd.crosstab(nuclei["tile"], nuclei["class"]).reindex(columns=range(classes), fill_value=0)
            counts.index = pd.MultiIndex.from_product([[name], [shard.path.stem], counts.index], names=TILE)
            frames.append(counts)
    return pd.concat(frames)


def oversample(plan: pd.DataFrame, nuclei: pd.DataFrame, balance: Balance) -> pd.DataFrame:
    """Repeat each training tile by the inverse frequency of the rarest class in it.

    A class's frequency is the share of training tiles that hold it. A tile is repeated
    `most frequent class / rarest class in the tile` times, rounded, at most `balance.max_copies`;
    a tile without a nucleus stays single. Rows keep their order, copies follow their tile.
    """
    training = (plan["split"] == "train").to_numpy()
    holds = nuclei.reindex(pd.MultiIndex.from_frame(plan[TILE]), fill_value=0).to_numpy() > 0
    frequency = holds[training].mean(axis=0)
    with np.errstate(divide="ignore"):
        repeat_of_class = np.where(frequency > 0, frequency.max() / frequency, 1)
    repeats = np.where(holds, repeat_of_class, 1).max(axis=1).round().clip(1, balance.max_copies).astype(int)
    repeats[~training] = 1
    repeated = plan.loc[plan.index.repeat(repeats)]
    return repeated.assign(copy=repeated.groupby(level=0).cumcount()).reset_index(drop=True)


if __name__ == "__main__":
    run_stage(main)
