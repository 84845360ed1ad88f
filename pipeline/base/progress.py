"""Progress bars: shown on a terminal, silent in a log."""

from typing import Any

from tqdm import tqdm


def byte_bar(what: str, total: int | None, done: int = 0) -> Any:
    """A bar that counts bytes, as a context manager; tell it of n more bytes with `update(n)`."""
    return tqdm(desc=what, total=total, initial=done, unit="B", unit_scale=True, disable=None)
