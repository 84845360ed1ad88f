"""Tables with a row an image, tile or detection, as parquet: small, with their types, a checksum for each page."""

import base64
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
            table, noted = file.read(), file.metadata.metadata[b"ARROW:schema"]
        # no checksum covers names and types of the columns, but they stand in the file twice
        same = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(noted))).equals(table.schema)
        if not same or not all(map(_is_written, table.schema.types)):
            raise ValueError("a column has two names or types, or a strange one")
        return table.to_pandas()
    except FileNotFoundError:
        raise Problem(f"{path} is missing; run `dvc repro` so that the variant is evaluated first.") from None
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):  # of metadata that are gone
        cure = "`lobule doctor` says what to remove, then `dvc repro` makes it again"
        raise Problem(f"{path} is damaged; {cure}.") from None


def _is_written(kind: pa.DataType) -> bool:
    of = pa.types
    return any(is_kind(kind) for is_kind in (of.is_integer, of.is_floating, of.is_boolean, of.is_large_string))
