"""Writing files so that a killed stage never leaves a half-written output behind."""

import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.base.errors import Problem

SEAL = "#crc32 "  # begins the last line of a sealed file


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` (a file or a folder) to write to; it becomes `path` if all goes well.

    After an exception the temporary is removed and what stood at `path` before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    _remove(temporary)
    try:
        yield temporary
        if temporary.is_dir():
            _remove(path)  # a rename cannot put a folder over a folder that is not empty
        temporary.replace(path)
    except BaseException:
        _remove(temporary)
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_sealed(path: Path, text: str) -> None:
    """Write lines as `write_text` does, and after them the CRC-32 of all of them."""
    write_text(path, f"{text}{SEAL}{zlib.crc32(text.encode()):08x}\n")


def read_sealed(path: Path) -> str:
    """Read what `write_sealed` wrote, without its last line; a table that a person edited needs none.

    Raises:
        Problem: the file is missing or damaged.
    """
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        raise Problem(f"{path} is missing; run `dvc repro` so that it is written.") from None
    content, tag, seal = written.rpartition(SEAL.encode())
    if not tag and b"," in written.rstrip(b"\n").rpartition(b"\n")[2]:
        return written.decode()
    if seal != b"%08x\n" % zlib.crc32(content):
        raise Problem(f"{path} is damaged; `lobule doctor` says what to remove, then `dvc repro` makes it again.")
    return content.decode()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with a line end, so that git shows readable differences."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file that a stage wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
