"""Take the stages that have left the pipeline out of every dvc.lock, which DVC itself never does.

In:  dvc.yaml and dvc.lock of the project and of each folder of studies/.
Out: the same dvc.lock without those stages, as DVC writes it; one without any is not touched. The outputs of a stage
     stay in DVC's cache, so that one that comes back into the pipeline may have to run again, no more.
"""

import argparse
from pathlib import Path

from pipeline.base.errors import Problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(arguments: argparse.Namespace) -> None:
    gone = prune()
    for lock, stages in gone.items():
        print(f"{lock}: {', '.join(stages)}")
    print(f"{sum(map(len, gone.values()))} stages had left the pipeline and were taken out of the lock files.")


def prune() -> dict[str, list[str]]:
    """Write every dvc.lock that holds stages which are not in its dvc.yaml without them; their names, by lock.

    Raises:
        Problem: DVC cannot read the project, or is at work in it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.utils.serialize import load_yaml, modify_yaml

    gone = {}
    try:
        with Repo() as repo, repo.lock:
            root = Path(repo.root_dir)
            there = {(Path(stage.path), getattr(stage, "name", None)) for stage in repo.index.stages}
            for lock in [root / "dvc.lock", *sorted(root.glob("studies/*/dvc.lock"))]:
                if not lock.exists():
                    continue
                names = (load_yaml(lock) or {}).get("stages", {})
                left = [name for name in names if (lock.with_suffix(".yaml"), name) not in there]
                if left:
                    with modify_yaml(lock) as content:
                        for name in left:
                            del content["stages"][name]
                    gone[lock.relative_to(root).as_posix()] = left
    except DvcException as error:
        raise Problem(f"DVC cannot read the pipeline ({error}); `dvc status` may say more.") from None
    return gone
