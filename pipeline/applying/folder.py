"""Folders of results, each of one call at a time, and of one model with one set of parameters."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.applying.model import Chosen
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
    with held(state, out):
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


@contextmanager
def held(folder: Path, out: Path) -> Iterator[None]:
    """Hold a folder, made where it is not there, for one call.

    Raises:
        Problem: another call holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Problem(f"another `lobule apply` is at work in {out}; wait for it, or give another --out.") from None
        yield


def folders_of(out: Path, models: Sequence[Chosen]) -> dict[str, Path]:
    """What each model is called, and where its results go: those of the first into `out`, of others into folders in it.

    Raises:
        Problem: a model is given twice.
    """
    found: dict[str, Path] = {}
    for model in models:
        studies, variants = {each.record.study for each in models}, [each.record.variant for each in models]
        title = model.record.variant if len(studies) == 1 else f"{model.record.study}/{model.record.variant}"
        if variants.count(model.record.variant) > 1:
            title += f" {model.sha256[:8]}"
        if title in found:
            raise Problem(f"{model.folder} holds the weights of another model that is given; name each once.")
        own = f"{model.record.study}-{model.record.variant}-{model.sha256[:8]}"
        found[title] = out / own if found else out
    return found
