"""What a killed DVC leaves is mended, cut wherever it may be; what another DVC holds is left alone."""

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from ruamel.yaml import YAML

from pipeline.base.errors import Problem
from pipeline.commands import heal
from tests.commands import project

LOCK = """\
schema: '2.0'
stages:
  split@1:
    cmd: python -m pipeline.stages.split tiny 1
    deps:
    - path: data/tiles/tiny
      hash: md5
      md5: 0123456789abcdef0123456789abcdef.dir
      size: 1234
      nfiles: 3
    params:
      params.yaml:
        seed: 42
    outs:
    - path: data/plans/tiny/run1/split.csv
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 99
  train@1-42-ünet-plain:
    cmd: python -m pipeline.stages.train tiny 1 42 ünet plain
    deps:
    - path: data/plans/tiny/run1/split.csv
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 99
    outs:
    - path: models/tiny/weights
      hash: md5
      md5: fedcba9876543210fedcba9876543210.dir
      size: 4321
      nfiles: 2
"""
STAGES = YAML(typ="safe").load(LOCK)["stages"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def used(folder: Path) -> Path:
    """DVC's list of who uses which file, not yet there."""
    (folder / heal.TMP).mkdir(parents=True)
    return heal.TMP / "rwlock"


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like DVC's."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "dvc", "repro"]) as process:
        yield process
        process.kill()


def git(*words: str) -> None:
    person = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *person, *words], check=True, capture_output=True)


def test_a_lock_file_cut_anywhere_keeps_its_whole_stages(capsys: pytest.CaptureFixture[str]) -> None:
    path, content = Path("dvc.lock"), LOCK.encode()
    first = len(LOCK[: LOCK.index("  train@")].encode())
    for length in range(len(content)):
        for tail in (b"", b"\0" * 9):  # the second is what some file systems leave after a power cut
            path.write_bytes(content[:length] + tail)
            heal.mend_lock(path)
            assert path.exists() == (length >= first), length
            if path.exists():
                assert YAML(typ="safe").load(path) == {"schema": "2.0", "stages": {"split@1": STAGES["split@1"]}}
                COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(path))
            told = capsys.readouterr().out.startswith("dvc.lock was torn when DVC was killed; ")
            assert told is (length != first or bool(tail))


def test_the_last_commit_gives_a_torn_lock_file_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("studies/tiny/dvc.lock")
    path.parent.mkdir(parents=True)
    path.write_text(LOCK)
    git("init", "--quiet")
    git("add", path.as_posix())
    git("commit", "--quiet", "--message", "all")
    for length in (0, 30, 400, len(LOCK) - 10):
        path.write_bytes(LOCK.encode()[:length])
        heal.mend_lock(path)
        assert path.read_text() == LOCK
    assert "1 of its stages are kept, 1 are taken from the last commit" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        LOCK,
        LOCK.replace("  train@", "<<<<<<< HEAD\n  train@") + "=======\n>>>>>>> other\n",
        LOCK.replace("2.0", "3.0")[:400],
    ],
    ids=["whole", "in conflict", "of another form"],
)
def test_a_lock_file_that_no_kill_tore_is_left_alone(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("dvc.lock").write_text(text)
    heal.mend_lock(Path("dvc.lock"))
    assert Path("dvc.lock").read_text() == text
    assert capsys.readouterr().out == ""


def list_users(*users: tuple[int, str]) -> str:
    entries = [{"pid": number, "cmd": command} for number, command in users]
    return json.dumps({"write": {"/data": entries[0]}, "read": {"/plans": entries}})


def test_a_list_of_users_cut_anywhere_is_removed(used: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = list_users((2**22 + 1, "dvc repro"), (2**22 + 2, "dvc repro"))
    for length in range(len(text) + 1):  # whole, it names processes that do not exist
        used.write_text(text[:length])
        assert heal.mend_rwlock(used) == set()
        assert not used.exists()
        assert capsys.readouterr().out.startswith(".dvc/tmp/rwlock ")


def test_one_that_is_whole_or_missing_is_left_alone(used: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert heal.mend_rwlock(used) == set()
    used.write_text("{}")
    assert heal.mend_rwlock(used) == set()
    assert used.exists()
    assert capsys.readouterr().out == ""


def test_what_a_running_dvc_uses_is_left_alone(used: Path, busy: subprocess.Popen[bytes]) -> None:
    used.write_text(list_users((busy.pid, "/bin/dvc repro"), (2**22 + 1, "dvc repro")))
    assert heal.mend_rwlock(used) == {busy.pid}
    assert used.exists()


def test_a_number_that_another_program_has_got_is_no_user(used: Path, busy: subprocess.Popen[bytes]) -> None:
    used.write_text(list_users((busy.pid, "dvc exp run")))
    assert heal.mend_rwlock(used) == set()
    used.write_text(list_users((busy.pid, "dvc repro")))
    os.utime(used, (0, time.time() - 3600))  # before the program began
    assert heal.mend_rwlock(used) == set()


def test_a_torn_list_beside_a_running_dvc_is_one_sentence(used: Path, busy: subprocess.Popen[bytes]) -> None:
    used.write_text("{")
    with pytest.raises(Problem, match=rf"rwlock is torn and DVC \(process {busy.pid}\) is at work"):
        heal.mend_rwlock(used)
    assert used.exists()


def test_unfinished_entries_of_the_run_cache_are_removed(capsys: pytest.CaptureFixture[str]) -> None:
    whole, half, empty = (heal.RUNS / name[:2] / name for name in ("ab" * 32, "cd" * 32, "ef" * 32))
    for stage in (whole, half, empty):
        stage.mkdir(parents=True)
    for stage in (whole, half):
        (stage / "XkPzQ.tmp").write_text("cm")
    (whole / ("12" * 32)).write_text("cmd: x")
    heal.mend_runs(heal.RUNS)
    assert list(heal.RUNS.glob("*/*/*")) == [whole / ("12" * 32)]
    assert list(heal.RUNS.glob("*/*")) == [whole]
    assert ".dvc/cache/runs had 3 entries that were not finished" in capsys.readouterr().out


def test_what_dvc_and_stages_had_not_finished_is_removed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = ["data/incoming/.a.zip.partial", "data/tiles/a.h5", "data/.tmp", "models/a.tmp", "models/x.partial"]
    gone = ["data/tiles/a.h5.iRwbYpvrIxFrmWK-tToZtw.tmp", ".dvc/cache/files/md5/ab/.iRwbYpvrIxFrmWK-tToZtw.tmp"]
    for name in [*kept, *gone, "models/a/.weights.partial/model.json"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    heal.remove_unfinished(Path())
    assert sorted(path.as_posix() for path in Path().rglob("*") if path.is_file()) == sorted(kept)
    assert capsys.readouterr().out.startswith("3 files or folders were not finished ")


def test_a_folder_that_is_no_project_stays_as_it_is(folder: Path) -> None:
    with pytest.raises(Problem, match=r"is no project: it has no folder \.dvc"), heal.alone():
        pass
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_real_dvc_goes_on_after_each_and_makes_nothing_again(folder: Path) -> None:
    project.make(folder, ["first"])
    assert project.lobule(folder, "repro").returncode == 0
    (folder / "ran").unlink()
    lock = folder / "studies/first/dvc.lock"
    text = lock.read_text()
    (cache,) = heal_databases(folder)
    for path, broken, told in (
        (folder / ".dvc/tmp/rwlock", '{"wr', ".dvc/tmp/rwlock was torn"),
        (lock, "", "studies/first/dvc.lock was torn"),
        (lock, text[: len(text) // 2], "studies/first/dvc.lock was torn"),
        (cache, "SQLite format 3\0 broken", "cache.db, where DVC keeps what it has computed, was broken"),
    ):
        path.write_text(broken)
        done = project.lobule(folder, "repro")
        assert done.returncode == 0, done.stderr
        assert told in done.stdout
        assert "Traceback" not in done.stderr
        assert not (folder / "ran").exists()  # the run cache had it
        assert YAML(typ="safe").load(lock.read_text()) == YAML(typ="safe").load(text)


def heal_databases(folder: Path) -> list[Path]:
    """DVC's database of hashes of a project."""
    return [path for path in heal._site_cache().rglob("cache.db") if path.parent.name == "local"]


def test_who_waits_says_whom_for_and_who_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lock"
    with path.open("a+") as theirs, path.open("a+") as mine:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        waiting = threading.Thread(target=heal._take, args=(mine, "DVC"))
        waiting.start()
        told = ""
        for number in (1, 2):
            path.write_text(str(number))  # as whoever has it does
            while f"Waiting for DVC (process {number}), " not in told:
                told += capsys.readouterr().out
                time.sleep(0.05)
        fcntl.flock(theirs, fcntl.LOCK_UN)
        waiting.join()
        with path.open("a+") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert "process )" not in told


@pytest.mark.slow
def test_a_second_one_waits_and_says_so(folder: Path) -> None:
    project.make(folder, ["first"])
    definition = folder / "studies/first/dvc.yaml"
    definition.write_text(definition.read_text().replace("cp data-bright", "touch began && sleep 4 && cp data-bright"))
    start = f"import sys; sys.path.insert(0, {str(project.ROOT)!r}); from pipeline.commands import main; main()"
    for first in (["-c", start, "repro"], ["-m", "dvc", "repro", "studies/first/dvc.yaml"]):
        with subprocess.Popen([sys.executable, *first], cwd=folder, stdout=subprocess.DEVNULL) as process:
            while not (folder / "began").exists():
                time.sleep(0.1)
            done = project.lobule(folder, "repro", "first")
            assert process.wait() == 0
        assert done.returncode == 0, done.stderr
        owner = "another `lobule repro`" if first[0] == "-c" else "DVC"
        assert done.stdout.startswith(f"Waiting for {owner} (process ")
        assert done.stdout.endswith("Everything is up to date.\n")
        (folder / "began").unlink()
        (folder / "source-bright").write_text("others")
