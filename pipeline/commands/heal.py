"""Mend what a killed DVC leaves and cannot mend by itself; `lobule repro` begins with it.

In:  .dvc/tmp, the run cache and each dvc.lock of the project in the working directory.
Out: the same, such that DVC can read them, and a printed sentence for each that was mended. What a DVC that is running
     holds is left alone: it writes each of these files under a lock of its own, which is taken here first.

DVC writes dvc.lock and .dvc/tmp/rwlock in place, so that a kill can leave the beginning of one. Stages that dvc.lock
then lacks are taken from the last commit, else DVC finds what they made in its cache: nothing is trained again.
"""

import fcntl
import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import psutil

from pipeline.base.errors import Problem
from pipeline.base.files import write_text
from pipeline.base.tracking import git

TMP = Path(".dvc/tmp")
RUNS = Path(".dvc/cache/runs")
HEAD = "schema: '2.0'\nstages:\n"  # of each dvc.lock
STAGE = re.compile(r"^(?=  [^\s:])", re.MULTILINE)  # where one of its stages begins
RUN = re.compile("[0-9a-f]{64}")  # the name of a file in the run cache
UNFINISHED = re.compile(r".*\.[\w-]{22}\.tmp|\..+\.partial")  # names that DVC and pipeline.base.files give
POLL = 0.5  # seconds between two looks at what another DVC does
SLACK = 2.0  # seconds by which the time when a process began may be wrong


@contextmanager
def alone() -> Iterator[None]:
    """Be the only `lobule repro` of the project, once no DVC is at work in it, and mend it.

    Raises:
        Problem: this is no project or cannot be written, or another DVC is at work and its list of files in use is
            torn, so that nobody knows which.
    """
    if not TMP.parent.is_dir():
        raise Problem(f"{Path.cwd()} is no project: it has no folder .dvc; go to the project's folder.")
    try:
        TMP.mkdir(exist_ok=True)
        opened = (TMP / "lobule.lock").open("a+")
    except OSError as error:
        raise Problem(f"{TMP} cannot be written ({error.strerror}); give this user the right to write there.") from None
    with opened as mine:
        _take(mine, "another `lobule repro`")
        mine.truncate(0)
        print(os.getpid(), file=mine, flush=True)
        with (TMP / "lock").open("a+") as repo, (TMP / "rwlock.lock").open("a+") as guard:
            told = False
            while True:
                _take(repo, "DVC")
                _take(guard, "DVC")
                listed = (TMP / "rwlock").exists()
                if not (users := mend_rwlock(TMP / "rwlock")):
                    break
                fcntl.flock(guard, fcntl.LOCK_UN)
                fcntl.flock(repo, fcntl.LOCK_UN)
                if not told:
                    _say_waiting("DVC", ", ".join(map(str, sorted(users))))
                told = True
                time.sleep(POLL)
            for path in [Path("dvc.lock"), *sorted(Path("studies").glob("*/dvc.lock"))]:
                mend_lock(path)
            mend_runs(RUNS)
            if listed and not (TMP / "rwlock").exists():  # else there may be some, but they are seen by nobody
                remove_unfinished(Path())
        yield


def mend_rwlock(path: Path) -> set[int]:
    """Remove DVC's list of who uses which file where it is torn, or where all whom it names have gone; who has not.

    DVC drops processes that do not exist, but not one whose number another program has got since.

    Raises:
        Problem: the list is torn and a DVC is at work.
    """
    try:
        users = _users(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return set()
    except (ValueError, AttributeError, TypeError, KeyError):
        if others := at_work():
            raise Problem(
                f"{path} is torn and DVC (process {others[0]}) is at work; run the same command again when that has"
                " ended."
            ) from None
        path.unlink()
        print(f"{path} was torn when DVC was killed; it is removed.")
        return set()
    here = {number for number, command in users if _is_running(number, command, path.stat().st_mtime)}
    if users and not here:
        path.unlink()
        print(f"{path} named a DVC that was killed; it is removed.")
    return here


def mend_lock(path: Path) -> None:
    """Give a torn dvc.lock its whole stages, and those that the last commit has beyond them."""
    if not path.is_file():
        return
    content = path.read_bytes()
    kept = whole_stages(content.rstrip(b"\0").decode("utf-8", errors="replace"))
    if kept is None or (kept and (HEAD + "".join(kept.values())).encode() == content):
        return
    committed = whole_stages(git("show", f"HEAD:./{path.as_posix()}") + "\n") or {}
    added = {name: stage for name, stage in committed.items() if name not in kept}
    if stages := kept | added:
        write_text(path, HEAD + "".join(stages.values()))
    else:
        path.unlink()
    print(
        f"{path} was torn when DVC was killed; {len(kept)} of its stages are kept, {len(added)} are taken from the last"
        " commit, and what others made is found in DVC's cache."
    )


def whole_stages(text: str) -> dict[str, str] | None:
    """The stages of a dvc.lock as they are written there, without the last one where the text breaks off in it.

    None where it is no beginning of a dvc.lock, or has git's marks of a conflict: DVC will tell.
    """
    if HEAD.startswith(text):
        return {}
    if not text.startswith(HEAD) or re.search(r"^(<<<<<<<|>>>>>>>)", text, re.MULTILINE):
        return None
    stages = STAGE.split(text.removeprefix(HEAD).rstrip(" "))
    if not _is_whole(stages[-1]):
        del stages[-1]
    return {stage.partition("\n")[0]: stage for stage in stages if stage}


def _is_whole(stage: str) -> bool:
    """Whether the last stage of a dvc.lock ends as DVC ends one: with its outputs, each with hash and size."""
    from ruamel.yaml import YAML, YAMLError

    if not stage.endswith("\n"):
        return False
    try:
        ((content),) = YAML(typ="safe").load(stage).values()
        return bool(content["outs"]) and all(
            "size" in out and ("nfiles" in out or not out["md5"].endswith(".dir")) for out in content["outs"]
        )
    except (YAMLError, AttributeError, TypeError, KeyError, ValueError):
        return False


def mend_runs(folder: Path) -> None:
    """Remove what DVC had not finished of its run cache.

    Of a stage's folder it takes the newest file, whole or not, and no stage can run whose folder is empty.
    """
    torn = 0
    for stage in folder.glob("??/*"):
        files = list(stage.iterdir())
        broken = [path for path in files if not RUN.fullmatch(path.name)]
        for path in broken:
            path.unlink()
        if len(files) == len(broken):
            stage.rmdir()
        torn += bool(broken) or not files
    if torn:
        print(f"{folder} had {torn} entries that were not finished when DVC was killed; they are removed.")


def remove_unfinished(project: Path) -> None:
    """Remove the files that DVC and the folders that stages had not finished, which have names of their own."""
    removed = 0
    for place, folders, files in os.walk(project):
        path = Path(place)
        folders[:] = [name for name in folders if name not in {".git", ".venv", "incoming"}]
        for name in filter(UNFINISHED.fullmatch, [*folders, *files]):
            if (path / name).is_dir():
                folders.remove(name)
                shutil.rmtree(path / name)
            else:
                (path / name).unlink()
            removed += 1
    if removed:
        print(f"{removed} files or folders were not finished when DVC was killed; they are removed.")


def mend_databases() -> bool:
    """Remove DVC's databases of hashes and links that SQLite cannot read; whether there were any."""
    broken = [path for path in _site_cache().rglob("cache.db") if not _is_sound(path)]
    for path in broken:
        for part in path.parent.glob(f"{path.name}*"):
            part.unlink()
        print(f"{path}, where DVC keeps what it has computed, was broken; it is removed and will be made anew.")
    return bool(broken)


def at_work() -> list[int]:
    """The processes of DVC whose working directory is this project or a folder of it."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        cwd, words = process.info["cwd"], process.info["cmdline"] or []
        is_dvc = (
            any(Path(word).name == "dvc" for word in words[:4]) and "daemon" not in words
        )  # which looks for updates
        if is_dvc and cwd and Path(cwd).is_relative_to(Path.cwd()):
            found.append(process.pid)
    return found


def _users(content: dict[str, Any]) -> set[tuple[int, str]]:
    """Number and command of each process in DVC's list of who uses which file."""
    written, read = content.get("write", {}), content.get("read", {})
    users = [*written.values(), *(user for readers in read.values() for user in readers)]
    return {(int(user["pid"]), str(user["cmd"])) for user in users}


def _is_running(number: int, command: str, written: float) -> bool:
    """Whether a process is still the one that was named in a file which was `written` then (s since 1970)."""
    try:
        process = psutil.Process(number)
        words = " ".join(process.cmdline())
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
    return process.create_time() < written + SLACK and words.endswith(command.rpartition(" ")[2])


def _site_cache() -> Path:
    """The folder with DVC's databases of this project, asked of a Repo that opens none of them."""
    from dvc.repo import Repo
    from dvc_data.hashfile import state

    opened = state.State
    state.State = lambda *_: state.StateNoop()
    try:
        with Repo() as repo:
            return Path(repo.site_cache_dir)
    finally:
        state.State = opened


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as database:
            return bool(database.execute("PRAGMA quick_check").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def _take(lock: IO[str], owner: str) -> None:
    """Lock a file, and say who is waited for where another process has it, and where yet another one is next."""
    told = None
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            process = lock.read().strip()
            if told is None or process not in {told, ""}:  # empty while the next one writes its number
                _say_waiting(owner, process)
                told = process
            time.sleep(POLL)
        else:
            return


def _say_waiting(owner: str, process: str) -> None:
    known = f" (process {process})" if process else ""
    print(f"Waiting for {owner}{known}, which is at work in this project.", flush=True)
