"""Tables with a row an image: beside the report where git can take them, else in DVC's cache alone."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

LARGEST = 1_000_000  # bytes of such a table in git: a study has four at most, and with its pictures less than 5 MB
TRIED = 1000  # rows by which a table's size is told


def write(folder: Path, study: str, tables: Mapping[str, pd.DataFrame], digits: int = 10) -> dict[str, str]:
    """Write <name>.csv of each table that is small and not empty; return where the rows of each are, as Markdown.

    The rows of a large one are those that the evaluations have, a file a training, in DVC's cache.
    """
    places = {}
    for name, table in tables.items():
        if table.empty:
            continue
        if size(table) <= LARGEST:
            table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", float_format=f"%.{digits}g")
            places[name] = f"`{study}/{name}.csv`"
        else:
            files = f"models/{study}/evaluation/*/*/*/{name}.parquet"
            places[name] = f"`{files}` ({len(table):,} rows, too many for git: DVC's cache has them)"
    return places


def size(table: pd.DataFrame) -> int:
    """Bytes of a table as CSV, about, from some of its rows."""
    some = table.iloc[:: -(-len(table) // TRIED)]
    return len(some.to_csv(index=False, header=False).encode()) * len(table) // len(some)
