"""Progress bars: shown on a terminal, silent in a log."""

from typing import Any

from tqdm import tqdm


def byte_bar(what: str, total: int | None, done: int = 0) -> Any:
    """A bar that counts bytes, as a context manager; tell it of n more bytes with `update(n)`."""
    return tqdm(desc=what, total=total, initial=done, unit="B", unit_scale=True, disable=None)


def area_bar(what: str, total: float) -> Any:
    """A bar that counts mm², as a context manager, with the time to go; tell it of n more with `update(n)`."""
    shape = "{desc}: {n:.2f} of {total:.2f} mm² |{bar}| {elapsed}, {remaining} to go, {rate_fmt}"
    return tqdm(desc=what, total=total, unit=" mm²", bar_format=shape, disable=None)
