"""Tables of an evaluation keep the names of patients and slides as they are."""

from pathlib import Path

import pandas as pd

from pipeline.reporting.results import read_table
from pipeline.tiles.plan import COLUMNS, read_plan, write_plan
from tests.tiles.test_plan import make_plan

NAMES = ["NA", "None", "0012", "12", "1e5", "100000"]


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path: Path) -> None:
    plan = make_plan(6, patient=NAMES, slide=NAMES, shard=NAMES)
    write_plan(plan, tmp_path / "counts.csv")
    plan.to_csv(tmp_path / "table.csv", index=False)
    for found in (read_table(tmp_path / "table.csv"), read_plan(tmp_path / "counts.csv")):
        pd.testing.assert_frame_equal(found[["patient", "slide", "shard"]], plan[["patient", "slide", "shard"]])
    plan.assign(patient="").to_csv(tmp_path / "table.csv", index=False)
    assert set(read_table(tmp_path / "table.csv")["patient"]) == {""} and set(plan) == set(COLUMNS)
