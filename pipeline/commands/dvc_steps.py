"""What DVC does around a stage's command, by DVC's own functions: before it, after it, and what it is given."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

LOGS = Path(".dvc/tmp/stages")
PASSED_ON = ("LOBULE_", "MLFLOW_")  # what the environment says to stages, wherever they run
Stage = Any  # DVC's


def plan(repo: Any, targets: Sequence[str] | None) -> dict[Stage, set[Stage]]:
    """Each stage that these targets need, and those that must be done before it.

    DVC runs nothing for a frozen stage, but hashes its dependencies, which must not be half-written by then.
    """
    from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

    whole = repo.index.graph
    graph = get_active_graph(whole)
    steps = plan_repro(graph, collect_stages(repo, targets) if targets else None)
    return {stage: set((whole if stage.frozen else graph).successors(stage)).intersection(steps) for stage in steps}


def ranks(after: dict[Stage, set[Stage]]) -> dict[Stage, int]:
    """How many stages at most follow one another after each; `after` has what comes first before what follows."""
    found = dict.fromkeys(after, 0)
    for stage in reversed(after):
        for before in after[stage]:
            found[before] = max(found[before], found[stage] + 1)
    return found


def keep(stage: Stage) -> None:
    """What DVC does after a stage's command, or after its run cache had what it makes."""
    outside_cache = any(not (out.use_cache or out.is_metric or out.is_plot) for out in stage.outs)
    stage.save(run_cache=not outside_cache)
    stage.commit()
    stage.dump(update_pipeline=False)


def in_use(stage: Stage) -> Any:
    """An entry in DVC's list of who uses which files, such as `dvc repro` makes while a stage runs; a context."""
    from dvc.rwlock import rwlock

    repo, command = stage.repo, " ".join(sys.argv)
    read, write = [dep.fs_path for dep in stage.deps], [out.fs_path for out in stage.outs]
    return rwlock(repo.tmp_dir, repo.fs, command, read, write, repo.config["core"].get("hardlink_lock", False))


def commands_of(stage: Stage) -> tuple[tuple[str, ...], ...]:
    """The words of each command, with the shell that DVC would give it to."""
    from dvc.stage.run import _enforce_cmd_list, _make_cmd, get_executable

    return tuple(tuple(_make_cmd(get_executable(), line)) for line in _enforce_cmd_list(stage.cmd))


def environment(root: str, name: str, threads: int) -> dict[str, str]:
    """What a stage finds in its environment beside what the machine that it runs on has there."""
    passed_on = {key: value for key, value in os.environ.items() if key.startswith(PASSED_ON)}
    mine = {"DVC_ROOT": root, "DVC_STAGE": name, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
    return passed_on | mine


def log_of(name: str) -> Path:
    """The file that takes what a stage prints."""
    return LOGS / f"{quote(name, safe='@')[-200:]}.log"
