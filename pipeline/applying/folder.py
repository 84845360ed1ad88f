"""A folder of results, which is of one call at a time, and of one model with one set of parameters."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.base.files import write_text
from pipeline.base.records import AppliedParameters


@contextmanager
def alone(out: Path, sha256: str, parameters: AppliedParameters) -> Iterator[None]:
    """Hold a folder of results for one call, of one model with the same parameters.

    Raises:
        Problem: another call is at work there, or it holds what another model or other parameters gave.
    """
    state = out / ".lobule"
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Problem(f"another `lobule apply` is at work in {out}; wait for it, or give another --out.") from None
        path, mine = state / "model", f"{sha256} {parameters.model_dump_json()}\n"
        if path.exists() and path.read_text(encoding="utf-8") != mine:
            raise Problem(
                f"{out} holds results of another model or other parameters; give another --out, or remove it."
            )
        write_text(path, mine)
        try:
            yield
        finally:
            # Where nothing was begun the folder is nobody's: what was refused may be given with other parameters.
            if {each.name for each in state.rglob("*") if each.is_file()} <= {"lock", "model", "key"}:
                path.unlink()
