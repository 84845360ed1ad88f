"""Repeat training tiles with what is rare, or leave some out: `python -m pipeline.stages.balance <study> <run>`.

In: `split.csv`, the nuclei or lesions of the tile store. Out: two plans on which variants train. In `balanced.csv`
tiles with rare classes, or with the study's target, stand several times; in `plain.csv` every tile stands once, unless
`balance.method` says otherwise.
"""

import argparse

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base.errors import run_stage
from pipeline.base.params import Balance, read_params
from pipeline.plans.census import count_nuclei, has_lesion
from pipeline.tiles.plan import plan_folder, read_plan, write_plan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("run", type=int)
    arguments = parser.parse_args()
    name, run = arguments.study, arguments.run
    params = read_params()
    study = params.study(name)
    folder = plan_folder(name, run, params.seed)
    plan = read_plan(folder / "split.csv")
    if study.target is None:
        held = count_nuclei(plan, len(study.classes))
    else:
        lesion = has_lesion(plan, study.target)
        held = np.stack([~lesion, lesion], axis=1).astype(np.int64)
    balanced = oversample(plan, held, study.balance)
    match study.balance.method:
        case "none":
            plain = plan
        case "oversample":
            plain = balanced
        case "undersample":
            plain = undersample(plan, held[:, 1] > 0, study.balance.lesion_free, params.seed)
    write_plan(plain, folder / "plain.csv", study.split.leaky)
    write_plan(balanced, folder / "balanced.csv", study.split.leaky)
    rows = [(table["split"] == "train").sum() for table in (plan, plain, balanced)]
    print(f"{rows[0]:,} training tiles became {rows[1]:,} rows of plain.csv and {rows[2]:,} of balanced.csv")


def oversample(plan: pd.DataFrame, nuclei: npt.NDArray[np.int64], balance: Balance) -> pd.DataFrame:
    """Repeat each training tile by the inverse frequency of the rarest class in it.

    `nuclei` (rows, C) are those of each row's tile. A class's frequency is the share of training tiles that hold it.
    A tile is repeated `most frequent class / rarest class in the tile` times, rounded, at most `balance.max_copies`;
    a tile without a nucleus stays single. Rows keep their order, copies follow their tile.
    """
    training = (plan["split"] == "train").to_numpy()
    holds = nuclei > 0
    frequency = holds[training].mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # where no class has a nucleus
        repeat_of_class = np.where(frequency > 0, frequency.max() / frequency, 1)
    repeats = np.where(holds, repeat_of_class, 1).max(axis=1).round().clip(1, balance.max_copies).astype(int)
    repeats[~training] = 1
    repeated = plan.loc[plan.index.repeat(repeats)]
    return repeated.assign(copy=repeated.groupby(level=0).cumcount()).reset_index(drop=True)


def undersample(plan: pd.DataFrame, lesion: npt.NDArray[np.bool_], lesion_free: float, seed: int) -> pd.DataFrame:
    """Keep all training tiles with a lesion (rows, bool), and up to so many without for each, drawn at random."""
    training = (plan["split"] == "train").to_numpy()
    without = np.flatnonzero(training & ~lesion)
    wanted = int((training & lesion).sum() * lesion_free)
    left_out = np.random.default_rng(seed).permutation(without)[wanted:]
    return plan.drop(index=plan.index[left_out]).reset_index(drop=True)


if __name__ == "__main__":
    run_stage(main)
