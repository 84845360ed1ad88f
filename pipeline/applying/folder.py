"""Folders of results, each of one call at a time, and of one model with one set of parameters."""

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.applying.inputs import STATE
from pipeline.applying.model import Chosen
from pipeline.base.errors import Problem
from pipeline.base.files import write_text
from pipeline.base.records import AppliedParameters

OVER_ALL = ("run.json", "summary.csv", "index.html")


@contextmanager
def alone(out: Path, sha256: str, parameters: AppliedParameters) -> Iterator[None]:
    """Hold a folder of results for one call, of one model with the same parameters.

    Raises:
        Problem: another call is at work there, it holds what another model or other parameters gave, or files that no
            call wrote and that would be overwritten.
    """
    state = out / STATE
    with held(state, out):
        path = state / "model"
        is_new = not path.exists()
        if is_new:
            refuse_others([out / name for name in OVER_ALL])
        else:
            _compare(path, out, sha256, parameters)
        write_text(path, f"{sha256} {json.dumps(parameters.shaping())}\n")
        try:
            yield
        finally:
            # Where nothing was begun the folder is nobody's: what was refused may be given with other parameters.
            if is_new and {each.name for each in state.rglob("*") if each.is_file()} <= {"lock", "model", "key"}:
                path.unlink()


def refuse_others(paths: Sequence[Path]) -> None:
    """Refuse to write over what lies in a folder that no call has written to.

    Raises:
        Problem: one of the paths is there.
    """
    for path in paths:
        if path.exists():
            raise Problem(f"{path} is there and `lobule apply` did not write it; give another --out, or move it.")


def _compare(path: Path, out: Path, sha256: str, parameters: AppliedParameters) -> None:
    """Refuse what differs from the model and parameters that a folder's results have.

    Raises:
        Problem: something does.
    """
    theirs, _, told = path.read_text(encoding="utf-8").partition(" ")
    if theirs != sha256:
        raise Problem(f"{out} holds results of another model; give another --out, or remove it.")
    shaping = parameters.shaping()
    differ = [name for name, value in json.loads(told).items() if name in shaping and shaping[name] != value]
    if differ:
        options = ", ".join("predict.flips" if name == "flips" else f"--{name.replace('_', '-')}" for name in differ)
        raise Problem(
            f"{out} holds results with another {options}; give it as before, another --out, or remove the folder."
        )


@contextmanager
def held(folder: Path, out: Path) -> Iterator[None]:
    """Hold a folder, made where it is not there, for one call.

    Raises:
        Problem: another call holds it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileNotFoundError, FileExistsError, NotADirectoryError) as error:
        raise Problem(f"{out} cannot be made ({error.strerror}); give an --out that is a folder.") from None
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
