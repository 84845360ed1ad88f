"""Training rows repeated for what is rare in them, or left out for what they lack."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.base.study_blocks import Balance


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
