"""Take the stages that have left the pipeline out of every dvc.lock; DVC never does, and parses them with each stage.

In:  dvc.yaml and dvc.lock of the project and of each folder of studies/.
Out: the same dvc.lock without those stages, as DVC writes it; one without any is not touched. DVC's cache keeps their
     outputs, so that a stage that comes back is taken from it.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.base.files import replacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(arguments: argparse.Namespace) -> None:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    total = 0
    try:
        with Repo() as repo, lock_repo(repo):
            there = {(Path(stage.path).with_suffix(".lock"), stage.name) for stage in repo.index.stages}
            root = Path(repo.root_dir)
            for lock in sorted([*root.glob("dvc.lock"), *root.glob("studies/*/dvc.lock")]):
                gone = prune(lock, {name for path, name in there if path == lock})
                total += len(gone)
                if gone:
                    print(f"{lock.relative_to(root)}: {len(gone)} taken out: {', '.join(gone)}")
    except DvcException as error:
        raise Problem(f"DVC cannot read the pipeline ({error}); `dvc status` may say more.") from None
    print(f"{total} stages had left the pipeline." if total else "No stage has left the pipeline.")


def prune(lock: Path, stages: Iterable[str]) -> list[str]:
    """Write a dvc.lock with these stages alone, or remove it where none is left; the names that went, in its order."""
    from dvc.utils.serialize import dump_yaml, parse_yaml_for_update

    content = parse_yaml_for_update(lock.read_text(encoding="utf-8"), lock)
    gone = [name for name in content.get("stages", {}) if name not in set(stages)]
    for name in gone:
        del content["stages"][name]
    if gone and content["stages"]:
        with replacing(lock) as temporary:
            dump_yaml(temporary, content)
    elif gone:
        lock.unlink()
    return gone
