"""`lobule repro`: two small studies, by DVC or side by side; one that fails stops no other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.base.errors import Problem
from pipeline.base.study import read_study, study_names
from pipeline.commands import heal, repro
from tests import fabricated
from tests.commands import project

CORES = os.cpu_count() or 1


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    project.make(folder, ["first", "second"])
    return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (made / "ran").unlink(missing_ok=True)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return made


def ran(folder: Path) -> set[str]:
    """The trainings that ran, each with its threads."""
    return set((folder / "ran").read_text().splitlines()) if (folder / "ran").exists() else set()


@pytest.mark.slow
def test_everything_is_made_once_and_then_nothing(folder: Path) -> None:
    done = project.lobule(folder, "repro", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    threads = max(1, CORES // 2)
    assert ran(folder) == {f"{s} {v} {threads}" for s in ("first", "second") for v in ("plain", "augmented")}
    assert (folder / "summary").read_text() == "tilestiles"
    (folder / "ran").unlink()
    done = project.lobule(folder, "repro")
    assert (done.returncode, done.stdout) == (0, "Everything is up to date.\n")
    assert ran(folder) == set()


@pytest.mark.slow
def test_one_job_is_done_by_dvc_and_no_dask_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    project.make(tmp_path, ["first"])
    start = f"""
import sys
sys.path.insert(0, {str(project.ROOT)!r})
from pipeline.commands import main
main()
assert not {{"dask", "distributed", "rich.live"}} & sys.modules.keys()
"""
    done = project.run(tmp_path, "-c", start, "repro", "--jobs", "1", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran(tmp_path) == {f"first {variant} {CORES}" for variant in ("plain", "augmented")}
    assert not (tmp_path / ".dvc/tmp/stages").exists()


@pytest.mark.slow
def test_a_study_that_fails_is_told_and_stops_no_other(folder: Path) -> None:
    definition = folder / "studies/first/dvc.yaml"
    text = definition.read_text()
    definition.write_text(text.replace("cp data-bright", "false && cp data-bright"))
    (folder / "source-bright").write_text("other tiles")
    done = project.lobule(folder, "repro", "--jobs", "1")
    definition.write_text(text)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("lobule: studies/first/dvc.yaml failed, as said above; ")
    assert ran(folder) == {f"second {v} {CORES}" for v in ("plain", "augmented")}
    assert (folder / "second-report").read_text() == "other tiles"
    (folder / "ran").unlink()
    assert project.lobule(folder, "repro", "second").stdout == "Everything is up to date.\n"
    assert project.lobule(folder, "repro", "first").returncode == 0
    assert {line.split()[0] for line in ran(folder)} == {"first"}


@pytest.mark.slow
def test_a_pipeline_that_cannot_be_read_is_one_line(folder: Path) -> None:
    (folder / "studies/third").mkdir()
    (folder / "studies/third/dvc.yaml").write_text("stages: 3")
    done = project.lobule(folder, "repro")
    (folder / "studies/third/dvc.yaml").unlink()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("lobule: DVC cannot tell what is up to date (")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "words", "told"),
    [
        ({"LOBULE_WORKERS": "nonsense"}, [], "LOBULE_WORKERS is 'nonsense' in the environment; give a whole number"),
        ({"LOBULE_DEVICES": "0"}, [], "LOBULE_DEVICES is '0' in the environment; give a whole number"),
        ({}, ["--jobs", "2", "--cluster", "moon"], "Dask's configuration has no jobqueue.moon; a name is one of "),
        ({}, ["--scheduler", "tcp://127.0.0.1:9"], "--scheduler tcp://127.0.0.1:9 does not answer ("),
    ],
)
def test_what_cannot_be_is_refused_before_anything_waits_or_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: list[str], told: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (folder / "source-bright").write_text("tiles of another day")
    monkeypatch.chdir(folder)
    with heal.alone():  # as another one that is at work
        done = project.lobule(folder, "repro", *words)
    assert (done.returncode, done.stderr.splitlines()[-1].startswith(f"lobule: {told}")) == (1, True), done.stderr
    assert ran(folder) == set()


def test_more_processes_than_a_batch_has_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fabricated.make_params()
    least = min(read_study(name).train.batch for name in study_names())
    repro.check_batches(None, least)
    for targets in (None, [f"studies/{name}/dvc.yaml" for name in study_names()]):
        with pytest.raises(Problem, match=rf"ask for {least + 1} processes, and studies/\w+/params.yaml trains with"):
            repro.check_batches(targets, least + 1)
    repro.check_batches(["dvc.yaml:summary"], 99)


@pytest.mark.parametrize(
    ("gpus", "side_by_side", "elsewhere", "expected"),
    [
        ("", False, False, 8),  # on a CPU as many as are asked for
        ("", True, False, 8),
        ("0,1", False, False, 4),  # two GPUs and two nodes
        ("0,1", True, False, 1),  # each is given one
        ("", True, True, 1),  # which its worker knows
    ],
)
def test_a_training_takes_the_processes_that_it_can(
    gpus: str, side_by_side: bool, elsewhere: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"CUDA_VISIBLE_DEVICES": gpus, "LOBULE_DEVICES": "4", "LOBULE_NODES": "2"}.items():
        monkeypatch.setenv(name, value)
    assert repro.of_a_training(side_by_side, elsewhere) == expected


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_what_runs(folder: Path, number: int, jobs: str) -> None:
    definition = folder / "studies/first/dvc.yaml"
    text = definition.read_text()
    definition.write_text(text.replace("cp data-bright", "echo $$ >> ran && exec sleep 60 && cp data-bright"))
    start = f"import sys; sys.path.insert(0, {str(project.ROOT)!r}); from pipeline.commands import main; main()"
    background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]  # as a shell's & starts it
    words = [sys.executable, "-c", start, "repro", "first", "--jobs", jobs]
    with subprocess.Popen([*background, *words], cwd=folder) as process:
        while len(ran(folder)) < int(jobs) and process.poll() is None:
            time.sleep(0.1)
        stages = [int(number) for number in ran(folder)]
        process.send_signal(number)
        assert process.wait(300) == 130
    definition.write_text(text)
    for stage in stages:
        with pytest.raises(ProcessLookupError):
            os.kill(stage, 0)


def test_a_target_is_a_study_or_one_of_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b.c"):
        (tmp_path / "studies" / name).mkdir(parents=True)
        (tmp_path / "studies" / name / "dvc.yaml").touch()
    assert repro.chosen([]) is None
    assert repro.chosen(["b.c", "a", "a"]) == ["studies/b.c/dvc.yaml", "studies/a/dvc.yaml"]
    assert repro.chosen(["dvc.yaml:summary", "convert@a"]) == ["dvc.yaml:summary", "convert@a"]
    with pytest.raises(Problem, match=r"studies has no study named 'd'; it has a, b\.c\."):
        repro.chosen(["a", "d"])


def test_a_wrong_parameter_is_refused_before_dvc_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repro.check_parameters()
    for name in ("params.yaml", "studies/tnbc/params.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((project.ROOT / name).read_text())
    repro.check_parameters()
    path = tmp_path / "studies/tnbc/params.yaml"
    path.write_text(path.read_text().replace("compare: [", 'compare: ["x; touch y; echo", '))
    with pytest.raises(Problem, match=r"tnbc/params\.yaml: compare\.0 is 'x; touch y; echo', which is no name"):
        repro.check_parameters()
    path.write_text(path.read_text().replace("x; touch y; echo", "nosuch"))
    with pytest.raises(Problem, match=r"tnbc/params\.yaml: nosuch is compared and not under variants"):
        repro.check_parameters()
    shared = tmp_path / "params.yaml"
    shared.write_text(shared.read_text().replace("encoder: resnet50", "encoder: restnet50"))
    with pytest.raises(Problem, match="did you mean resnet50"):
        repro.check_parameters()


def test_a_project_from_an_archive_is_told_that_there_is_no_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.health.project.has_git", lambda: False)
    local = tmp_path / ".dvc/config.local"
    local.mkdir(parents=True)
    (tmp_path / ".dvc/config").touch()
    with pytest.raises(Problem, match=r"\.dvc/config, or config\.local there, cannot be read \(.*\); mend it by hand"):
        repro.without_git()
    local.rmdir()
    repro.without_git()
    repro.without_git()
    assert capsys.readouterr().out.count("There is no git here") == 1
    assert "no_scm = True" in local.read_text()


def test_a_folder_that_is_no_project_is_one_line(tmp_path: Path) -> None:
    done = project.lobule(tmp_path, "repro")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"lobule: {tmp_path} is no project: it has no folder .dvc; go to the project's folder.\n"
