"""Download one file over HTTP so that a break costs only what was under way, and a wrong file is never taken for it.

A download in progress is two files beside the final name: `<name>.part`, the bytes so far, and `<name>.part.json`,
which version of the file at the server they belong to. The final name appears only when everything has been checked.
"""

import hashlib
import re
import shutil
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import requests

from pipeline.base.archives import check_zip
from pipeline.base.errors import Problem
from pipeline.base.files import read_json, write_json
from pipeline.base.progress import byte_bar

WAITS = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)  # seconds before each new try that follows one without progress
TIMEOUT = (15.0, 60.0)  # seconds to connect, and between two pieces
CHUNK = 1 << 16  # bytes; what a broken connection can cost
HTML = re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE)
HEADERS = {
    "User-Agent": "lobule (breast-cancer histopathology pipeline; python-requests)",
    "Accept-Encoding": "identity",  # byte ranges and Content-Length must be those of the file itself
}
OTHER_WAY = "download it with a browser and name its folder as the data set's source in params.yaml"


class Broken(Exception):
    """A try that failed in a way that another try may cure."""


def fetch(url: str, path: Path, sha256: str, size: int | None = None, waits: Sequence[float] = WAITS) -> None:
    """Download `url` to `path`, going on where an earlier call stopped; nothing where `path` is there and right.

    Args:
        sha256: of the file, in hex; or `md5:` and its MD5, where the publisher gives nothing better.
        size: of the file in bytes, where it is known beforehand.
        waits: seconds to wait before each new try; they start afresh whenever a try has brought something.

    Raises:
        Problem: the server has no such file or gives a web page, another file or nothing, or the disk is too small.
    """
    if path.exists():
        _check_sha256(path, sha256)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    _download_all(url, part, size, waits)
    _check_sha256(part, sha256)
    if path.suffix == ".zip":
        check_zip(part)
    part.replace(path)
    _state(part).unlink()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex."""
    return _checksum(path, "SHA-256")


def _checksum(path: Path, name: str) -> str:
    """SHA-256 or MD5 of a file in hex."""
    digest = hashlib.new(name.replace("-", ""))
    with path.open("rb") as file, byte_bar(f"{name} of {path.name}", path.stat().st_size) as bar:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def _check_sha256(path: Path, expected: str) -> None:
    """Set a file with another checksum aside, so that the next call begins anew and the bytes can be looked at."""
    name = "MD5" if expected.startswith("md5:") else "SHA-256"
    expected = expected.removeprefix("md5:")
    got = _checksum(path, name)
    if got != expected:
        bad = path.with_name(f"{path.name.removesuffix('.part')}.bad")
        path.replace(bad)
        raise Problem(
            f"{path} should have {name} {expected} but has {got}; it now lies at {bad}, run again to download it "
            f"anew, and if that ends the same the publisher has changed the file: {OTHER_WAY}."
        )


def _download_all(url: str, part: Path, size: int | None, waits: Sequence[float]) -> None:
    """Try until `part` is whole, or until as many tries as there are waits have brought no further byte."""
    tries, most = 0, _length(part)
    with requests.Session() as session:
        while True:
            try:
                return _download_rest(session, url, part, size)
            except (requests.RequestException, Broken) as error:
                if _length(part) > most:
                    tries, most = 0, _length(part)
                if tries == len(waits):
                    raise Problem(
                        f"{url} could not be downloaded ({error}); {_length(part):,} bytes are kept in {part}, "
                        f"run again to go on from there, or {OTHER_WAY}."
                    ) from None
                time.sleep(waits[tries])
                tries += 1


def _download_rest(session: requests.Session, url: str, part: Path, size: int | None) -> None:
    """One request for what `part` lacks."""
    begun, have = _read_state(part, url), _length(part)
    if begun and have == begun["size"]:
        return  # the last call ended between the last byte and the checks
    headers = dict(HEADERS)
    if begun and have:
        headers["Range"] = f"bytes={have}-"
        if begun["validator"]:
            headers["If-Range"] = begun["validator"]  # a changed file then comes whole, with 200, and is not glued on
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        _check_status(response, url, {200, 206, 416} if "Range" in headers else {200})
        chunks = response.iter_content(CHUNK)
        if begun and response.status_code != 200:
            start, total = _content_range(response)
            if start != have or total != begun["size"]:  # after 416 there is no start
                part.unlink()
                raise Broken("the server no longer has the file that was begun")
        else:
            first = next(chunks, b"")
            total = _whole_file(response, first, url, part, size)
            part.unlink(missing_ok=True)
            write_json(_state(part), {"url": url, "size": total, "validator": _validator(response)})
            chunks = chain([first], chunks)
        _check_room(part, total)
        with part.open("ab") as file, byte_bar(part.stem, total, _length(part)) as bar:
            for chunk in chunks:
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and _length(part) != total:
        raise Broken(f"{_length(part):,} of {total:,} bytes came")


def _check_status(response: requests.Response, url: str, good: set[int]) -> None:
    """Refuse an answer that brings no file: for good, or until the next try."""
    code = response.status_code
    if code >= 500 or code in {408, 429}:
        raise Broken(f"the server answers {code} {response.reason}")
    if code not in good:
        raise Problem(f"{url} cannot be downloaded: the server answers {code} {response.reason}; {OTHER_WAY}.")


def _whole_file(response: requests.Response, first: bytes, url: str, part: Path, size: int | None) -> int | None:
    """Check that an answer from the first byte on is the file, before it replaces what is there; its size in bytes."""
    if response.headers.get("Content-Type", "").startswith("text/html") or HTML.match(first):
        raise Problem(f"{url} gives a web page (a login or a notice) in place of {part.stem}; {OTHER_WAY}.")
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else size
    if size is not None and total is not None and total != size:
        raise Problem(f"{url} has {total:,} bytes and should have {size:,}: the publisher changed it; {OTHER_WAY}.")
    return total


def _check_room(part: Path, total: int | None) -> None:
    missing = (total or 0) - _length(part)
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise Problem(
            f"{part} needs {missing:,} bytes more and its disk has {free:,} left; make room, or make data/incoming a "
            "link to a folder on a larger disk, and run again."
        )


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte and size of the whole file, as the answer to a Range request says them (RFC 9110, 14.4)."""
    said = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    start, total = said.groups() if said else (None, None)
    return (int(start) if start else None, int(total) if total and total != "*" else None)


def _validator(response: requests.Response) -> str | None:
    """What names this version of the file in If-Range: a strong ETag, else the date of the last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _read_state(part: Path, url: str) -> dict[str, Any] | None:
    """What is known of the file that `part` is the beginning of; None where nothing is, or it is another URL's."""
    try:
        state = read_json(_state(part))
        return state if state["url"] == url and {"size", "validator"} <= state.keys() else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _state(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
