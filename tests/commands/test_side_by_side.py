"""`lobule repro --jobs`: it ends where `dvc repro` ends, whatever fails, is interrupted or killed on the way."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.cluster.workers import PATIENCE
from pipeline.commands.dvc_steps import log_of, ranks
from tests.commands import project
from tests.commands.beside import State, dvc, lobule, repro, running_scheduler, said, state
from tests.torture.kills import kill_tree

pytestmark = pytest.mark.slow
STAGES = """
stages:
  parameters:
    cmd: grep -o '[0-9]*' params.yaml > number
    params: [number]
    outs: [number]
  folders: # two commands, a folder, a file that is not cached, a working directory
    wdir: part
    cmd:
      - mkdir -p folder/deep && cp ../number folder/deep/number
      - echo again >> ../ran; cat folder/deep/number > kept; echo said here >&2
    deps: [../number]
    outs:
      - folder
      - kept: {cache: false, persist: true}
  metric:
    cmd: 'echo number: $(cat part/folder/deep/number) > metric.yaml'
    deps: [part/folder/deep]
    metrics: [metric.yaml: {cache: false}]
  inside: # a dependency that holds the output of another stage, and one that lies in an output
    cmd: cat part/kept part/folder/deep/number > inside
    deps: [part]
    outs: [inside]
  nothing:
    cmd: echo nothing >> ran
    deps: [inside]
  frozen:
    frozen: true
    cmd: cp number frozen
    deps: [number]
    outs: [frozen]
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """A project of two studies whose trainings take a moment, and what an undisturbed `dvc repro` makes of a copy."""
    folder = tmp_path_factory.mktemp("whole")
    project.make(folder, ["first", "second"])
    for path in folder.glob("studies/*/dvc.yaml"):
        path.write_text(path.read_text().replace("cp data-bright", "sleep 0.7 && cp data-bright"))
    copy = tmp_path_factory.mktemp("copy") / "project"
    shutil.copytree(folder, copy)
    dvc(copy, "repro", "--all-pipelines")
    return folder, state(copy)


@pytest.fixture
def slow_stages(whole: tuple[Path, State], tmp_path: Path) -> Path:
    """The project, of which nothing is made."""
    return Path(shutil.copytree(whole[0], tmp_path / "project"))


@pytest.fixture
def expected(whole: tuple[Path, State]) -> State:
    return whole[1]


def test_it_ends_where_dvc_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folders = tmp_path / "by-dvc", tmp_path / "by-lobule"
    for folder in folders:
        (folder / "part").mkdir(parents=True)
        (folder / "dvc.yaml").write_text(STAGES)
        (folder / ".dvc").mkdir()
        (folder / ".dvc/config").write_text("[core]\nanalytics = false\ncheck_update = false\n")
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        (folder / "frozen").write_text("mine")
    by_dvc, by_lobule = folders
    start = "import sys; sys.path.insert(0, sys.argv[1]); from pipeline.commands.side_by_side import *; " + (
        "from pipeline.cluster.workers import Where; bring_up_to_date(None, Where(jobs=3))"
    )
    for number, runs in ((1, True), (2, True), (1, False)):
        for folder in folders:
            (folder / "params.yaml").write_text(f"number: {number}\n")
            (folder / "ran").write_text("")
        dvc(by_dvc, "repro", "--all-pipelines")
        told = project.run(by_lobule, "-c", start, str(project.ROOT)).stdout
        assert state(by_lobule) == state(by_dvc)
        ignored = [set((folder / ".gitignore").read_text().splitlines()) for folder in folders]
        assert ignored[0] == ignored[1]
        assert (by_dvc / "ran").read_text() == (by_lobule / "ran").read_text()
        assert ("Stage 'parameters' is cached" in told) != runs
        counts = re.search(r"^Everything is up to date: (\d+) stages ran, (\d+) came out of the cache\.$", told, re.M)
        assert counts and (int(counts[1]), int(counts[2])) == (told.count("Running stage"), told.count(" is cached, "))
        assert dvc(by_lobule, "status") == dvc(by_dvc, "status")
    assert re.search(r"Stage 'folders' ended after \d+:\d\d and said:\n  said here\n", told)  # as by DVC, not cached


def test_a_failure_stops_what_depends_on_it_and_nothing_else(slow_stages: Path, expected: State) -> None:
    definitions = {path: path.read_text() for path in slow_stages.glob("studies/*/dvc.yaml")}
    first, second = sorted(definitions)
    first.write_text(definitions[first].replace("&& echo first", "&& echo broken >&2 && exit 3 && echo first"))
    second.write_text(definitions[second].replace("cp second-plain", "true"))
    with lobule(slow_stages, "repro", "--jobs", "3") as process:
        assert process.wait() == 1
    last = said(slow_stages).splitlines()[-1]
    assert last.startswith("lobule: 3 stages failed: ")
    for variant in ("plain", "augmented"):
        assert f"studies/first/dvc.yaml:train@{variant} (exit code 3: broken)" in last
        assert said(slow_stages).count(f"train@{variant}' failed after ") == 1
        assert f"train@{variant}' failed: " not in said(slow_stages)  # its own words stand there
    assert "studies/second/dvc.yaml:report (" in last
    assert "second-report' does not exist" in last
    assert "); 2 that need them were not run; mend it and run the same command again." in last
    assert sorted(line.split()[0] for line in (slow_stages / "ran").read_text().splitlines()) == ["second"] * 2
    for path, text in definitions.items():
        path.write_text(text)
    repro(slow_stages)
    assert state(slow_stages) == expected
    assert len((slow_stages / "ran").read_text().splitlines()) == 4  # none was run again


def test_what_was_done_stays_done_when_it_is_interrupted(slow_stages: Path, expected: State) -> None:
    definition = slow_stages / "studies/first/dvc.yaml"
    text = definition.read_text()
    definition.write_text(text.replace("sleep 0.7", "touch began-${item} && sleep 600"))
    with lobule(slow_stages, "repro", "--jobs", "3") as process:
        while not ((slow_stages / "second-report").exists() and list(slow_stages.glob("began-*"))):
            assert process.poll() is None, said(slow_stages)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    *before, last = said(slow_stages).splitlines()
    assert re.fullmatch(r"lobule: interrupted \([34] stages? ran to the end\); run the same command .*", last)
    assert "Interrupted: what runs is ended, which may take some seconds; a second Ctrl-C kills it." in before
    assert "train@plain' was interrupted." in said(slow_stages)
    for path in slow_stages.glob("began-*"):
        path.unlink()
    definition.write_text(text)
    repro(slow_stages)
    assert state(slow_stages) == expected
    assert sorted(line.split()[0] for line in (slow_stages / "ran").read_text().splitlines()) == (
        ["first"] * 2 + ["second"] * 2
    )


def test_a_second_interruption_kills_what_does_not_hear_the_first(slow_stages: Path) -> None:
    definition = slow_stages / "studies/first/dvc.yaml"
    deaf = "trap '' INT; touch began-${item}; for _ in $(seq 600); do sleep 1; done"
    definition.write_text(definition.read_text().replace("sleep 0.7", deaf))
    with lobule(slow_stages, "repro", "--jobs", "3", "first") as process:
        while len(list(slow_stages.glob("began-*"))) < 2:
            assert process.poll() is None, said(slow_stages)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        while "Interrupted: " not in said(slow_stages):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        assert process.wait() == 130
        assert time.monotonic() - begin < PATIENCE
    *before, last = said(slow_stages).splitlines()
    assert re.fullmatch(r"lobule: interrupted \(\d stages? ran to the end\); run the same command .*", last)
    assert sorted(before[-2:]) == [
        f"Stage 'studies/first/dvc.yaml:train@{variant}' was interrupted." for variant in ("augmented", "plain")
    ]


@pytest.mark.parametrize("whom", ["runner", "runner", "stage"])
def test_after_a_kill_the_next_call_ends_in_the_same_state(slow_stages: Path, expected: State, whom: str) -> None:
    seed = int(os.environ.get("LOBULE_SEED", time.time_ns() % 10**6))
    print(f"LOBULE_SEED={seed}")
    rng = random.Random(seed)
    with lobule(slow_stages, "repro", "--jobs", "2") as process:
        while said(slow_stages).count("Running stage") < rng.randint(1, 7) and process.poll() is None:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.7))
        if whom == "runner":
            process.kill()
        else:
            with suppress(psutil.Error):  # which has ended meanwhile
                for child in psutil.Process(process.pid).children():
                    if "sleep" in " ".join(child.cmdline()):
                        kill_tree_of(child)
        process.wait()
    repro(slow_stages)
    assert state(slow_stages) == expected
    assert "up to date" in dvc(slow_stages, "status")


def kill_tree_of(process: psutil.Process) -> None:
    """SIGKILL to a process and what it has started."""
    for one in [*process.children(recursive=True), process]:
        one.kill()


def test_of_two_in_one_folder_the_second_waits(slow_stages: Path, expected: State, tmp_path: Path) -> None:
    programs, go = tmp_path / "bin", tmp_path / "go"
    programs.mkdir()
    (programs / "sleep").write_text(f"#!/bin/sh\nuntil [ -e {go} ]; do /bin/sleep 0.05; done\n")  # as stages call it
    (programs / "sleep").chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    with lobule(slow_stages, "repro", "--jobs", "2", env=environment) as first:
        while "train@" not in (begun := said(slow_stages)):
            assert first.poll() is None, begun
            time.sleep(0.02)
        start = f"import sys; sys.path.insert(0, {str(project.ROOT)!r}); from pipeline.commands import main; main()"
        words = [sys.executable, "-u", "-c", start, "repro", "--jobs", "2"]
        with subprocess.Popen(words, cwd=slow_stages, stdout=subprocess.PIPE, text=True) as second:
            assert second.stdout
            told = second.stdout.readline()
            go.touch()
            assert first.wait() == 0, said(slow_stages)
            assert second.stdout.read() == "Everything is up to date.\n"
            assert second.wait() == 0
    assert told.startswith("Waiting for another `lobule repro` (process ")
    assert state(slow_stages) == expected
    assert len((slow_stages / "ran").read_text().splitlines()) == 4


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a scheduler with one worker of two threads, in this process."""
    with running_scheduler(threads=2) as address:
        yield address


def test_a_scheduler_that_runs_already_is_used_and_outlives_a_runner_that_is_killed(
    slow_stages: Path, expected: State, scheduler: str
) -> None:
    definition = slow_stages / "studies/first/dvc.yaml"
    text = definition.read_text()
    definition.write_text(text.replace("sleep 0.7", "echo $$ > began-${item} && sleep 600"))
    with lobule(slow_stages, "repro", "--scheduler", scheduler) as process:
        while len(began := list(slow_stages.glob("began-*"))) < 2:
            assert process.poll() is None, said(slow_stages)
            time.sleep(0.05)
        stages = [psutil.Process(int(path.read_text())) for path in began if path.read_text()]
        kill_tree(process)
    _, alive = psutil.wait_procs(stages, timeout=300)
    assert stages
    assert not alive
    for path in began:
        path.unlink()
    definition.write_text(text)
    repro(slow_stages, "--scheduler", scheduler)
    assert state(slow_stages) == expected


def test_the_stage_that_most_follows_comes_first() -> None:
    after = {"data": set(), "train": {"data"}, "other": {"data"}, "predict": {"train"}}
    assert ranks(after) == {"data": 2, "train": 1, "other": 0, "predict": 0}


def test_every_stage_has_a_file_for_what_it_prints() -> None:
    names = ["a/dvc.yaml:b", "a_dvc.yaml:b", "a/dvc.yaml:c", "a/dvc.yaml:" + 300 * "b"]
    found = {log_of(name).name for name in names}
    assert len(found) == 4
    assert max(map(len, found)) <= 255
