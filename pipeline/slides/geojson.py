"""Read GeoJSON feature by feature, so that memory grows with the largest feature and not with the file.

Each value is parsed by `json`, not by a library for streams: QuPath before 0.5 writes NaN among its measurements, which
`json` reads and ijson's parser refuses, and `json` takes half of its time.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pipeline.base.errors import Problem

CHUNK = 1 << 20  # characters read at once
CURE = "export it from QuPath again (docs/how-to/export-from-qupath.md)"


class _Stream:
    """JSON text of which only a piece is in memory."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._text, self._at, self._ended = file, "", 0, False
        self._decoder = json.JSONDecoder()

    def _more(self) -> None:
        # At least as much again as is held: a feature of any size is then parsed in time linear in its size.
        new = self._file.read(max(CHUNK, len(self._text) - self._at))
        self._text, self._at = self._text[self._at :] + new, 0
        self._ended = not new

    def peek(self) -> str:
        """The next character that is no space, or nothing at the end."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._more()

    def skip(self, wanted: str) -> None:
        """Pass over one of these characters."""
        found = self.peek()
        if not found:
            raise EOFError
        if found not in wanted:
            raise ValueError(f"{found!r} where {' or '.join(wanted)} must be")
        self._at += 1

    def value(self) -> Any:
        """The next whole value."""
        if not self.peek():
            raise EOFError
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    raise (EOFError() if _is_cut(error) else error) from None
            else:
                if end < len(self._text) or self._ended:  # else a number may go on
                    self._at = end
                    return value
            self._more()

    def items(self) -> Iterator[Any]:
        """The items of the array that comes next."""
        self.skip("[")
        if self.peek() == "]":
            self.skip("]")
            return
        while True:
            yield self.value()
            if self.peek() == "]":
                self.skip("]")
                return
            self.skip(",")


def _is_cut(error: json.JSONDecodeError) -> bool:
    """Whether text is wrong only in that it ends too early: within a string, a word or a number, or before a value."""
    rest = error.doc[error.pos :].strip()
    in_escape = "escape" in error.msg and len(rest) <= len("\\uDEAD")
    in_word = any(word.startswith(rest) for word in ("null", "true", "false"))
    return error.msg.startswith("Unterminated") or in_escape or in_word or not rest.strip("+-.eE")


def read_features(path: Path) -> Iterator[dict[str, Any]]:
    """The features of a FeatureCollection, of a bare list (QuPath before 0.3), or the one Feature that the file is.

    Raises:
        Problem: the file is empty, cut off, or something else.
    """
    count = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for feature in _features(_Stream(file)):
                count += 1
                if not isinstance(feature, dict) or feature.get("type") != "Feature":
                    raise ValueError(f"its item {count} is no Feature")
                yield feature
    except (EOFError, UnicodeDecodeError) as error:
        if isinstance(error, UnicodeDecodeError) and error.reason != "unexpected end of data":
            raise Problem(f"{path} is no GeoJSON of annotations: it is no text; {CURE}.") from None
        what = f"ends in the middle, after {count:,} whole features" if path.stat().st_size else "is empty"
        raise Problem(f"{path} {what}; {CURE}.") from None
    except (ValueError, RecursionError, OSError) as error:
        raise Problem(f"{path} is no GeoJSON of annotations ({error}); {CURE}.") from None


def _features(stream: _Stream) -> Iterator[Any]:
    if stream.peek() == "[":
        yield from stream.items()
    else:
        yield from _features_of_object(stream)
    if stream.peek():
        raise ValueError(f"{stream.peek()!r} after its end")


def _features_of_object(stream: _Stream) -> Iterator[Any]:
    """Of a FeatureCollection, whose other members are passed over, or of a Feature."""
    stream.skip("{")
    members: dict[str, Any] = {}
    while stream.peek() != "}":
        if members:
            stream.skip(",")
        key = stream.value()
        if not isinstance(key, str):
            raise ValueError(f"the key {key!r}")
        stream.skip(":")
        if key == "features" and stream.peek() == "[":
            yield from stream.items()
            members[key] = True
        else:
            members[key] = stream.value()
    stream.skip("}")
    if "features" not in members:
        yield members
