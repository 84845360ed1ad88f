"""No name in a params.yaml becomes a command, and none clears away what lies elsewhere: real DVC is asked."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from tests.dvc.project import Project

pytestmark = pytest.mark.slow
HOSTILE = [
    "x; touch ran; echo",
    "$(touch ran)",
    "`touch ran`",
    "a' ; touch ran ; '",
    'a" ; touch ran ; "',
    "a\ntouch ran\n",
    "a\x85touch ran",
    "a && touch ran",
    "--help; touch ran",
    "\\'; touch ran; '",
]
CLIMBING = ["x/../../../../../docs"]
LISTS = ("compare", "plans", "runs", "seeds", "baselines", "ablation")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("beside") / "project")


@pytest.fixture
def project(made: Project) -> Iterable[Project]:
    yield made
    assert not list(made.folder.parent.rglob("ran")), "a name was run"
    assert made.run("git", "ls-files", "--deleted") == "", "files were cleared away"
    made.run("git", "checkout", "--quiet", ".")


def put(project: Project, study: str, values: dict[str, Any]) -> None:
    """Set keys of a study's params.yaml, whatever comes of it."""
    path = project.folder / "studies" / study / "params.yaml"
    raw = YAML(typ="safe").load(path.read_text())
    with path.open("w") as file:
        YAML(typ="safe").dump(raw | values, file)


@pytest.mark.parametrize("key", LISTS)
def test_a_name_is_one_word_of_a_command_whatever_it_is(project: Project, key: str) -> None:
    put(project, "tnbc", {key: HOSTILE})
    said = set()
    with Repo(project.folder) as repo:
        for stage in repo.stage.load_all(str(project.folder / "studies/tnbc/dvc.yaml")):
            assert stage.cmd.split()[:2] == ["python", "-m"]
            _, _, _, study, *options = shlex.split(stage.cmd)
            assert study == "tnbc" and {*options[::2]} <= {"--run", "--seed", "--variant", "--plan"}
            said |= {*options[1::2]}
    assert {*HOSTILE} <= said


@pytest.mark.parametrize("key", LISTS)
def test_what_is_no_word_makes_no_stage(project: Project, key: str) -> None:
    put(project, "tnbc", {key: [{"a; touch ran": "b"}]})
    done = project.attempt("dvc", "repro", "studies/tnbc/dvc.yaml")
    assert done.returncode and "Cannot interpolate data of type" in done.stderr
    assert "Running stage" not in done.stdout


@pytest.mark.parametrize("key", LISTS)
def test_check_refuses_before_anything_is_run_or_cleared_away(project: Project, key: str) -> None:
    put(project, "tnbc", {key: [*HOSTILE, *CLIMBING]})
    done = project.attempt("dvc", "repro", "--keep-going", "studies/tnbc/dvc.yaml")
    assert done.returncode and f"lobule: studies/tnbc/params.yaml: {key}.0 is 'x; touch ran; echo'" in done.stderr
    assert "studies/tnbc/dvc.yaml:check" in done.stderr.splitlines()[-1]
    assert done.stdout.count("python -m pipeline.stages") <= 6  # both checks and the data


@pytest.mark.parametrize(
    "command",
    [
        "dvc exp run -S 'studies/tnbc/params.yaml:plans=[\"x; touch ran; echo\"]' studies/tnbc/dvc.yaml",
        "dvc exp run -S 'studies/tnbc/params.yaml:+study=\"x; touch ran; echo\"' studies/tnbc/dvc.yaml",
        "dvc exp run -S 'encoder=\"x; touch ran; echo\"' studies/pannuke/dvc.yaml",
        "dvc repro --single-item studies/tnbc/dvc.yaml:split",
        "dvc repro --single-item studies/tnbc/dvc.yaml:check",
    ],
)
def test_no_other_way_runs_it(project: Project, command: str) -> None:
    if "single-item" in command:
        put(project, "tnbc", {"runs": HOSTILE})
    assert project.attempt(*shlex.split(command)).returncode


def test_lobule_refuses_before_dvc_is_asked(project: Project) -> None:
    put(project, "tnbc", {"plans": HOSTILE + CLIMBING})
    done = project.attempt("python", "-m", "pipeline.commands", "repro")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lobule: studies/tnbc/params.yaml: plans.0 is 'x; touch ran; echo' but should be")


def test_a_folder_that_is_no_name_gets_no_stages(project: Project) -> None:
    folder = Path(project.folder / "studies/x; touch ran")
    folder.mkdir()
    done = project.attempt("make", "-s", "stages")
    assert done.returncode and "studies/x; touch ran is no name of a study; rename the folder." in done.stderr
    folder.rmdir()
