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
        return pq.read_table(path, page_checksum_verification=True).to_pandas()
    except FileNotFoundError:
        raise Problem(f"{path} is missing; run `dvc repro` so that the variant is evaluated first.") from None
    except (pa.ArrowException, OSError, ValueError):
        raise Problem(
            f"{path} is damaged; `lobule doctor` says what to remove, then `dvc repro` makes it again."
        ) from None
