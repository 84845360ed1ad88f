"""Tables with a row an image, tile or detection, as parquet: small, with their types, a checksum for each page."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.errors import Problem


def write_rows(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index; the bytes depend on its rows and on the version of pyarrow alone."""
    rows = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()
    pq.write_table(rows, path, compression="zstd", write_page_checksum=True)


def read_rows(path: Path) -> pd.DataFrame:
    """Read what `write_rows` wrote.

    Raises:
        Problem: the file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
            # no checksum covers the names of columns, but they stand in the file twice
            if any(_columns(file, group) != table.column_names for group in range(file.num_row_groups)):
                raise ValueError("a column has two names")
        return table.to_pandas()
    except FileNotFoundError:
        raise Problem(f"{path} is missing; run `dvc repro` so that the variant is evaluated first.") from None
    except (pa.ArrowException, OSError, ValueError):
        cure = "`lobule doctor` says what to remove, then `dvc repro` makes it again"
        raise Problem(f"{path} is damaged; {cure}.") from None


def _columns(file: pq.ParquetFile, group: int) -> list[str]:
    found = file.metadata.row_group(group)
    return [found.column(number).path_in_schema for number in range(found.num_columns)]
