"""Read GeoJSON feature by feature, so that memory grows with the largest feature and not with the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import ijson

from pipeline.base.errors import Problem

CHUNK = 1 << 16  # bytes read at once
MARK = b"\xef\xbb\xbf"  # that some programs put before UTF-8
CURE = "export it from QuPath again (docs/how-to/export-from-qupath.md)"


def read_features(path: Path) -> Iterator[dict[str, Any]]:
    """The features of a FeatureCollection, of a bare list (QuPath before 0.3), or the one Feature that the file is.

    Raises:
        Problem: the file is empty, cut off, or something else.
    """
    count = 0
    try:
        for feature in _features(path):
            count += 1
            if not isinstance(feature, dict) or feature.get("type") != "Feature":
                raise ValueError(f"its item {count} is no Feature")
            yield feature
    except (ijson.JSONError, ValueError, RecursionError, OSError) as error:
        said = error.args[0] if error.args else type(error).__name__
        reason = (said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)).strip().split("\n")[0]
        if not path.stat().st_size:
            what = "is empty"
        elif "premature EOF" in reason:
            what = f"ends in the middle, after {count:,} whole features"
        else:  # within a word or a number the reader cannot tell a cut from an error
            what = f"is no GeoJSON of annotations, or cut off after {count:,} whole features ({reason})"
        raise Problem(f"{path} {what}; {CURE}.") from None


def _features(path: Path) -> Iterator[Any]:
    """What is listed in the file, or the whole of it where it lists nothing."""
    with path.open("rb") as file:
        if _begin(file) == b"[":
            yield from _items(file, "item")
            return
        empty = True
        for feature in _items(file, "features.item"):
            empty = False
            yield feature
        if not empty:
            return
        _begin(file)
        if not any(place == "features" for place, _, _ in ijson.parse(file, buf_size=CHUNK)):
            _begin(file)
            yield from _items(file, "")


def _items(file: IO[bytes], place: str) -> Iterator[Any]:
    return iter(ijson.items(file, place, buf_size=CHUNK, use_float=True))


def _begin(file: IO[bytes]) -> bytes:
    """Go to the first character that is no space, after a byte order mark, and return it."""
    file.seek(0)
    if file.read(len(MARK)) != MARK:
        file.seek(0)
    while (first := file.read(1)).isspace():
        pass
    if first:
        file.seek(-1, 1)
    return first
