"""Read GeoJSON feature by feature, so that memory grows with the largest feature and not with the file.

Each value is parsed by `json`, not by a library for streams: QuPath before 0.5 writes NaN among its measurements, which
`json` reads and ijson's parser refuses, and `json` takes half of its time.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pipeline.base.errors import Problem

CHUNK = 1 << 20  # characters, or bytes, read at once
WINDOWS = "cp1252"
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
        with path.open(encoding=find_charset(path)) as file:
            for feature in _features(_Stream(file)):
                count += 1
                if not isinstance(feature, dict) or feature.get("type") != "Feature":
                    raise ValueError(f"its item {count} is no Feature")
                yield feature
    except (EOFError, UnicodeDecodeError):  # the second: within a character, since all before has a charset
        what = f"ends in the middle, after {count:,} whole features" if path.stat().st_size else "is empty"
        raise Problem(f"{path} {what}; {CURE}.") from None
    except (ValueError, RecursionError) as error:
        raise Problem(f"{path} is no GeoJSON of annotations ({error}); {CURE}.") from None
    except OSError as error:
        raise Problem(f"{path} cannot be read ({error.strerror}); mend that and run again.") from None


def find_charset(path: Path) -> str:
    """The charset of a JSON file: UTF-8, 16 or 32, or Windows' cp1252, which is printed.

    What is wanted of the file is written in ASCII (numbers, names of classes, JSON's own signs), which UTF-8 and cp1252
    share, so that taking one for the other changes names alone that nothing uses.

    Raises:
        Problem: it is in no such charset, or no text.
    """
    with path.open("rb") as file:
        beginning = file.read(4)
    charset = json.detect_encoding(beginning)
    wrong = _wrong_byte(path, charset.removesuffix("-sig"))
    if wrong is None:
        return charset
    place, byte = wrong
    where = f"byte {place:,} is 0x{byte:02x}, which is no {charset.removesuffix('-sig').upper()}"
    if charset.startswith("utf-8") and _wrong_byte(path, WINDOWS) is None:
        print(f"{path}: {where}; read as Windows' {WINDOWS}, in which outlines and classes are the same")
        return WINDOWS
    raise Problem(
        f"{path} is no GeoJSON of annotations in a known charset ({where}, nor {WINDOWS}); open it in an editor and"
        f" save it as UTF-8, or {CURE}."
    )


def _wrong_byte(path: Path, charset: str) -> tuple[int, int] | None:
    """Where a file is not of a charset, and which byte it is; nothing where it is, or only breaks off."""
    decoder, done = codecs.getincrementaldecoder(charset)(), 0
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            waiting = len(decoder.getstate()[0])
            try:
                text = decoder.decode(part)
            except UnicodeDecodeError as error:
                return done - waiting + error.start, error.object[error.start]
            if charset == WINDOWS and "\0" in text:
                return done + text.index("\0"), 0
            done += len(part)
    return None


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
