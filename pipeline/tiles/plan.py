"""Plans: tables that say which tiles a study uses, on which side of the split, and how each is changed.

One row a training example; `split`, `balance` and `augment` each write a plan, never pixels. A row
rebuilds its example exactly: the tile `index` of `data/tiles/<dataset>/<shard>.h5`, with `transform` applied. The last
line of the file is a checksum of the others.
"""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.errors import Problem, machine_problem
from pipeline.base.files import read_sealed, write_sealed

SPLITS = ("train", "validation", "test")
COLUMNS = {
    "dataset": str,
    "shard": str,  # file name without .h5
    "index": int,  # of the tile in the shard
    "patient": str,  # empty where the data set does not tell
    "slide": str,
    "x": int,  # px in the slide
    "y": int,
    "microns_per_pixel": float,
    "split": str,  # train, validation or test
    "copy": int,  # 0 = the tile itself, 1, 2, ... = its copies by balance and augment
    "transform": str,  # JSON, read by pipeline.tiles.transforms
}
TEXTS = {
    "dataset": str,
    "shard": str,
    "patient": str,
    "slide": str,
}  # in any table: patients NA and 0012 are no numbers
TCGA = r"(TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})"  # what a barcode of The Cancer Genome Atlas begins with: the patient
TILE = ["dataset", "shard", "index"]  # the columns that name a tile


def write_plan(plan: pd.DataFrame, path: Path, leaky: bool = False) -> None:
    """Check a plan and write it as CSV, the same bytes for the same rows; `leaky` ones may part slides and patients."""
    check_plan(plan, leaky)
    write_sealed(path, plan[list(COLUMNS)].to_csv(index=False, lineterminator="\n"))


def read_plan(path: Path) -> pd.DataFrame:
    """Read a plan that a stage wrote.

    Raises:
        Problem: the file is missing or damaged, or its columns, numbers, sides or names of shards are none that a stage
            writes.
    """
    try:
        plan = pd.read_csv(StringIO(read_sealed(path)), dtype=COLUMNS, keep_default_na=False, index_col=False)
        wrong = _what_is_wrong(plan)
    except (OSError, ValueError, KeyError, OverflowError) as error:
        if problem := machine_problem(path, error):
            raise problem from None
        wrong = str(error).partition("\n")[0][:200]
    if wrong:
        raise Problem(f"{path} is no plan that a stage wrote ({wrong}); run `dvc repro` again.")
    return plan


def _what_is_wrong(plan: pd.DataFrame) -> str:
    """What a plan holds that no stage writes, a clause; empty where there is nothing."""
    if list(plan.columns) != list(COLUMNS):
        return f"its columns are not {', '.join(COLUMNS)}"
    if unknown := set(plan["split"]) - set(SPLITS):
        return f"the side {min(unknown)[:80]!r}"
    if not (plan[["index", "copy"]] >= 0).all(axis=None) or not np.isfinite(plan["microns_per_pixel"]).all():
        return "a number that none can be"
    for column in ("dataset", "shard"):  # which are parts of paths
        if (names := plan[column][~plan[column].str.fullmatch(r"[^/\\\x00]+") | plan[column].isin([".", ".."])]).size:
            return f"the {column} {names.iloc[0][:80]!r}"
    return ""


def check_plan(plan: pd.DataFrame, leaky: bool = False) -> None:
    """Refuse a plan that leaks: a tile, slide or patient (where known) on two sides of the split; a tile if `leaky`.

    Raises:
        Problem: naming the first that does.
    """
    unknown = set(plan["split"]) - set(SPLITS)
    if unknown:
        raise Problem(f"the plan has splits named {sorted(unknown)}; they must be among {list(SPLITS)}.")
    leaks = {"index": on_two_sides(plan, TILE), **({} if leaky else parted(plan))}
    for what, names in leaks.items():
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise Problem(f"the plan puts {what} {names[0]}{more} on two sides of the split; split by group instead.")


def parted(plan: pd.DataFrame) -> dict[str, list[str]]:
    """The slides and patients that are on two sides of the split.

    A patient of TCGA is the same one in every data set; other names mean something within their data set only.
    """
    named = plan.assign(**{"TCGA patient": tcga_patients(plan)})
    keys = (["dataset", "slide"], ["dataset", "patient"], ["TCGA patient"])
    return {columns[-1]: on_two_sides(named, columns) for columns in keys}


def on_two_sides(plan: pd.DataFrame, columns: list[str]) -> list[str]:
    """What these columns name on two sides of the split; empty names name nothing."""
    known = plan[plan[columns[-1]] != ""]
    sides = known.groupby(columns, sort=True)["split"].nunique()
    return [name if isinstance(name, str) else " ".join(str(part) for part in name) for name in sides.index[sides > 1]]


def tcga_patients(plan: pd.DataFrame) -> "pd.Series[str]":
    """The barcode (TCGA-XX-XXXX) in the name of each row's patient or slide, by which several data sets know a patient.

    Empty where there is none.
    """
    names = (plan["patient"] + " " + plan["slide"]).str.upper()
    return names.str.extract(TCGA, expand=False).fillna("")
