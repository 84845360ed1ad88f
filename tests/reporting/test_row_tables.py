"""Tables of rows go beside the report where they are small; of large ones the page says where the rows are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.reporting import row_tables


def rows(count: int) -> pd.DataFrame:
    values = np.random.default_rng(0).integers(0, 10**6, (count, 20))
    return pd.DataFrame(values, columns=[f"c{number}" for number in range(20)]).assign(share=values[:, 0] / 7)


def test_small_tables_lie_beside_the_report_and_large_ones_do_not(tmp_path: Path) -> None:
    tables = {"counts": rows(100), "instances": rows(20_000), "train": pd.DataFrame()}
    places = row_tables.write(tmp_path, "lungs", tables)
    assert [path.name for path in tmp_path.iterdir()] == ["counts.csv"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "counts.csv"), tables["counts"], rtol=1e-9)
    assert places == {
        "counts": "`lungs/counts.csv`",
        "instances": "`models/lungs/evaluation/*/*/*/instances.parquet` (20,000 rows, too many for git: DVC's cache has"
        " them)",
    }


@pytest.mark.parametrize("count", [1, 999, 1001, 30_000])
def test_the_size_is_about_that_of_the_file(count: int) -> None:
    table = rows(count)
    assert row_tables.size(table) == pytest.approx(len(table.to_csv(index=False, header=False)), rel=0.01)
