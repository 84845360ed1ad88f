"""Which tiles train, validate and test: the ways in which a study's tiles are dealt out."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from pipeline import datasets
from pipeline.base.errors import Problem
from pipeline.base.study import Study
from pipeline.tiles.plan import SPLITS, tcga_patients
from pipeline.tiles.store import shards
from pipeline.tiles.transforms import IDENTITY

BLOCKS = 4  # a side, that a slide is dealt out in


def list_tiles(dataset: str, study: Study) -> pd.DataFrame:
    """The tiles of a data set that the study uses, as plan rows without a split."""
    frames = []
    for shard in shards(dataset):
        if study.target is None and shard.info.classes != tuple(study.classes):
            raise Problem(f"{shard.path} has the classes {list(shard.info.classes)}, the study {study.classes}.")
        table = shard.table()
        table = table if study.group == "all" else table[table["group"] == study.group]
        frames.append(
            pd.DataFrame(
                {
                    "dataset": dataset,
                    "shard": shard.path.stem,
                    "index": table.index,
                    **{column: table[column] for column in ("patient", "slide", "x", "y", "group")},
                    "microns_per_pixel": shard.info.microns_per_pixel,
                    "copy": 0,
                    "transform": IDENTITY,
                }
            )
        )
    tiles = pd.concat(frames, ignore_index=True)
    if tiles.empty:
        raise Problem(f"the tile store of {dataset} holds no tile of group {study.group}; look at its source.")
    return tiles


def split_official(tiles: pd.DataFrame, study: Study, run: int, seed: int) -> pd.DataFrame:
    """By the folds, or groups of tiles, that the data set's authors published, in rotation `run`.

    What a split that is partial (see `datasets.Card`) does not name is left out of the study.
    """
    cards = {dataset: datasets.load_card(dataset) for dataset in study.datasets}
    found = []
    for dataset, shard, group in tiles[["dataset", "shard", "group"]].itertuples(index=False):
        if run not in cards[dataset].official_splits:
            known = ", ".join(map(str, cards[dataset].official_splits)) or "none"
            raise Problem(
                f"the official split of {dataset} has no run {run}, but {known}; correct runs in params.yaml."
            )
        sides = cards[dataset].official_splits[run]
        side = sides.get(shard, sides.get(group))
        if side is None and not cards[dataset].split_is_partial:
            raise Problem(
                f"the official split of {dataset} does not name {shard}; leave it out of the data, or set split.by to"
                " group in the study's params.yaml."
            )
        found.append(side)
    plan = tiles.assign(split=pd.Series(found, index=tiles.index))
    return plan[plan["split"].notna()]


def split_random(tiles: pd.DataFrame, study: Study, run: int, seed: int) -> pd.DataFrame:
    """Each tile by itself. Tiles of a slide land on both sides, which is refused unless asked for by `tile`."""
    return _assign(tiles, tiles.index.to_series().astype(str), study.split.fractions, run, seed)


def split_image(tiles: pd.DataFrame, study: Study, run: int, seed: int) -> pd.DataFrame:
    """The official split, but the tiles of data sets with an official test part are dealt out each by itself.

    As the paper of tnbc has it: MoNuSeg trains, half of TNBC's images train, the other half test. Patients land on
    both sides.
    """
    plan = split_official(tiles, study, run, seed)
    dealt = plan["dataset"].isin(plan.loc[plan["split"] == "test", "dataset"])
    return plan.assign(
        split=split_random(plan[dealt], study, run, seed)["split"].reindex(plan.index).fillna(plan["split"])
    )


def split_group(tiles: pd.DataFrame, study: Study, run: int, seed: int) -> pd.DataFrame:
    """All tiles of a patient, or of a slide where the patient is unknown, on one side."""
    return _assign(tiles, _units(tiles), study.split.fractions, run, seed)


def split_stratified(tiles: pd.DataFrame, study: Study, run: int, seed: int) -> pd.DataFrame:
    """As by group, but the tiles of each `group` of the tile store (BACH: class) are dealt out by themselves.

    So each side has its share of every class. A patient with tiles in several of them stays on one side.
    """
    units = _units(tiles)
    side_of: dict[str, str] = {}
    for _, rows in tiles.groupby("group", sort=True):
        side_of |= deal(units[rows.index], study.split.fractions, run, seed, side_of)
    return tiles.assign(split=units.map(side_of))


def split_block(tiles: pd.DataFrame, study: Study, run: int, seed: int) -> pd.DataFrame:
    """Each slide, or image, in BLOCKS x BLOCKS blocks, which are dealt out: for where there is one alone.

    Tiles of two sides meet at the borders of blocks, so that what is tested is as near to what trained as can be.
    """
    names = ["dataset", "slide"]
    place = tiles[["x", "y"]] - tiles.groupby(names)[["x", "y"]].transform("min")
    extent = place.groupby([tiles[name] for name in names]).transform("max") + 1
    block = place * BLOCKS // extent
    units = tiles["dataset"] + "/" + tiles["slide"] + "/" + block["x"].astype(str) + "/" + block["y"].astype(str)
    return _assign(tiles, units, study.split.fractions, run, seed)


def split_dataset(tiles: pd.DataFrame, study: Study, run: int, seed: int) -> pd.DataFrame:
    """The last data set tests; the patients of the others train and validate, by the fractions of these two."""
    train, validation, _ = study.split.fractions
    rest = tiles[tiles["dataset"] != study.datasets[-1]]
    sides = rest.assign(split="train")
    if validation:
        whole = train + validation
        sides = _assign(rest, _units(rest), [train / whole, validation / whole, 0.0], run, seed)
    return tiles.assign(split=sides["split"].reindex(tiles.index).fillna("test"))


def _units(tiles: pd.DataFrame) -> "pd.Series[str]":
    """What must stay on one side, for each tile: its patient, or its slide where the patient is unknown."""
    groups = tiles["patient"].where(tiles["patient"] != "", tiles["slide"])
    if (groups == "").any():
        raise Problem(
            f"{' and '.join(tiles['dataset'].unique())} tells neither patient nor slide of its tiles;"
            " set split.by to official or random in the study's params.yaml."
        )
    known = tcga_patients(tiles)
    return known.where(known != "", tiles["dataset"] + "/" + groups)


def _assign(tiles: pd.DataFrame, groups: pd.Series, fractions: list[float], run: int, seed: int) -> pd.DataFrame:
    return tiles.assign(split=groups.map(deal(groups, fractions, run, seed, {})))


def deal(groups: pd.Series, fractions: list[float], run: int, seed: int, dealt: Mapping[str, str]) -> dict[str, str]:
    """Shuffle the groups and deal them out, in turn to the side that lacks the most tiles of its share.

    Those that were `dealt` before stay where they are.
    """
    sizes = groups.value_counts(sort=False).sort_index()
    order = np.random.default_rng([seed, run]).permutation(len(sizes))
    lacking = np.array(fractions) * len(groups)
    side_of = {}
    for position in sorted(order, key=lambda position: sizes.index[position] not in dealt):
        name = sizes.index[position]
        side_of[name] = dealt.get(name, SPLITS[int(lacking.argmax())])
        lacking[SPLITS.index(side_of[name])] -= sizes.iloc[position]
    return side_of


SPLITTERS: dict[str, Callable[[pd.DataFrame, Study, int, int], pd.DataFrame]] = {
    "official": split_official,
    "random": split_random,
    "tile": split_random,
    "image": split_image,
    "group": split_group,
    "stratified": split_stratified,
    "block": split_block,
    "dataset": split_dataset,
}
