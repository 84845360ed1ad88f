"""What tests of a drawn data set look at."""

import hashlib
from pathlib import Path
from typing import Any

from pipeline import datasets


def checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in and under a folder, by its name there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def tiles(dataset: str, folder: Path) -> list[Any]:
    """Every tile of a data set that lies in a folder."""
    return [tile for part in datasets.load_reader(dataset).find(folder) for tile in part.tiles()]
