"""What DVC keeps: its locks, the objects of its cache, the outputs that lie in the project.

A lock has the MD5 of each output, an object of the cache is named by its own, so that a flipped bit anywhere shows.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.base.errors import Problem
from pipeline.base.schema import read_yaml
from pipeline.health import Finding
from pipeline.health.project import settings

ROOT = Path()
BLOCK = 1 << 20  # bytes read at once
SHOWN = 20  # damaged outputs and objects for which it is said what to type
REMAKE = "dvc repro"


def examine(root: Path = ROOT) -> Iterator[Finding]:
    """Locks, cache and outputs of the project in a folder, one after the other."""
    locks, findings = read_locks(root)
    yield from findings
    sums = Sums()
    cache = cache_folder(root)
    broken = damaged_objects(cache, sums)
    bad = [path for path, wanted in outputs(locks) if (root / path).exists() and sums.of(root / path) != wanted]
    objects = sum(1 for _ in objects_of(cache))
    if not broken and not bad:
        yield Finding("cache", f"{objects:,} objects, {sums.read / 1e9:.1f} GB read: each is what its name says.")
        missing = sum(not (root / path).exists() for path, _ in outputs(locks))
        here = f"{len(set(outputs(locks))) - missing:,} are what their locks say, {missing:,} are not there"
        yield Finding("outputs", f"{here}.", cure=(REMAKE,) if missing else ())
        return
    damaged = [*broken, *(root / path for path in bad)]
    removal = [f"rm -rf {shlex.quote(str(path))}" for path in damaged[:SHOWN]]
    said = f"{len(broken):,} of {objects:,} objects in the cache and {len(bad):,} outputs are damaged or were changed"
    more = len(damaged) - SHOWN
    again = (f"lobule doctor  # for the {more:,} others",) if more > 0 else ()
    yield Finding("cache", f"{said}.", True, (*removal, *again, REMAKE))


def read_locks(root: Path) -> tuple[list[Any], list[Finding]]:
    """What the lock files hold, and what is wrong with them or with DVC's own notes."""
    contents, findings = [], []
    paths = sorted([*root.glob("dvc.lock"), *root.glob("studies/*/dvc.lock")])
    for path in paths:
        try:
            content = read_yaml(path)
            if not isinstance(content, dict) or not isinstance(content.get("stages", {}), dict):
                raise Problem(f"{path} holds no stages.")
            contents.append(content)
        except Problem as problem:
            findings.append(Finding("locks", str(problem), True, (f"git checkout {path}", REMAKE)))
    notes = root / ".dvc/tmp/rwlock"
    if notes.is_file() and (text := notes.read_text(errors="replace")):
        try:
            json.loads(text)
        except ValueError:
            said = f"{notes} was torn by a DVC that was killed while it wrote."
            findings.append(Finding("locks", said, True, (f"rm {notes}", "lobule repro")))
    stages = sum(len(content.get("stages", {})) for content in contents)
    return contents, findings or [Finding("locks", f"{len(paths)} lock files with {stages:,} stages.")]


def outputs(locks: list[Any]) -> Iterator[tuple[str, str]]:
    """Path and MD5 of every output in the locks; all stages run in the project's folder."""
    for content in locks:
        for stage in content.get("stages", {}).values():
            for out in stage.get("outs", []):
                if "md5" in out:
                    yield out["path"], out["md5"]


def cache_folder(root: Path) -> Path:
    """Where DVC's objects lie."""
    folder = settings(root)["cache"].get("dir") or root / ".dvc/cache"
    return Path(folder) / "files/md5"


def objects_of(cache: Path) -> Iterator[Path]:
    """The objects of the cache, without files that DVC has not finished."""
    for path in sorted(cache.glob("??/*")):
        if len(path.name.removesuffix(".dir")) == 30 and path.is_file():
            yield path


def damaged_objects(cache: Path, sums: "Sums") -> list[Path]:
    """The objects whose content is not what their name says."""
    return [
        path for path in objects_of(cache) if sums.file(path) != (path.parent.name + path.name).removesuffix(".dir")
    ]


class Sums:
    """MD5 as DVC computes them; a file with several names is read once."""

    def __init__(self) -> None:
        self.read = 0  # bytes
        self._known: dict[tuple[int, int], str] = {}

    def of(self, path: Path) -> str:
        """Of a file, or of a folder with all that is in it."""
        if not path.is_dir():
            return self.file(path)
        files = sorted(each for each in path.rglob("*") if each.is_file() and each.name != ".DS_Store")
        listed = [{"md5": self.file(each), "relpath": each.relative_to(path).as_posix()} for each in files]
        listed.sort(key=lambda entry: entry["relpath"])
        return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"

    def file(self, path: Path) -> str:
        status = os.stat(path)  # noqa: PTH116 - of what a link leads to
        key = status.st_dev, status.st_ino
        if key not in self._known:
            digest = hashlib.md5(usedforsecurity=False)
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    digest.update(block)
                    self.read += len(block)
            self._known[key] = digest.hexdigest()
        return self._known[key]
