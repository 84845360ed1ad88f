"""The parameters that a stage reads are those that it declares: every stage of a small project runs, and is watched."""

import json
from collections.abc import Iterator

import pytest

from tests.dvc.project import Project
from tests.dvc.stages import Stage, in_order

pytestmark = pytest.mark.slow
Watched = list[tuple[Stage, dict[str, list[str]]]]  # each stage that ran, and the keys that it read, by file

# Keys that a stage reads and does not declare, with the reason:
KNOWN = {"study": "the name of the folder, which stands in the command"}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    project = Project(tmp_path_factory.mktemp("project"))
    stages = in_order(project.folder)
    commands, reads = project.folder / "commands.json", project.folder / "reads.json"
    commands.write_text(json.dumps([stage.command for stage in stages]))
    project.run("python", "-m", "tests.dvc.reads", commands.name, reads.name)
    return list(zip(stages, json.loads(reads.read_text()), strict=True))


def keys(watched: Watched) -> Iterator[tuple[Stage, str, list[str], list[str]]]:
    """Each stage and file of parameters with the keys that it declares and reads; but for a stage of the whole file."""
    for stage, reads in watched:
        for file in {*stage.params, *reads} - set(stage.deps):
            yield stage, file, stage.params.get(file, []), reads.get(file, [])


def covers(declared: str, read: str) -> bool:
    """Whether a read key is declared: itself, or the block that it is in; of a block that is looked at, something."""
    block = read.endswith(".") and f"{declared}.".startswith(read)
    return block or f"{read.rstrip('.')}.".startswith(f"{declared}.")


def test_every_parameter_that_a_stage_reads_is_declared(watched: Watched) -> None:
    undeclared = {
        f"{stage.study or 'project'}:{stage.kind} reads {key} of {file}"
        for stage, file, declared, read in keys(watched)
        for key in {*read} - {*KNOWN}
        if not any(covers(each, key) for each in declared)
    }
    assert sorted(undeclared) == []


def test_every_parameter_that_a_stage_declares_is_read(watched: Watched) -> None:
    """By some stage with the same list of keys, as all studies have one text."""
    declared: set[tuple[str, str, str]] = set()
    read: set[tuple[str, str, str]] = set()
    for stage, _, mine, found in keys(watched):
        listed = ", ".join(key for key in map(named, mine) if key != "variants.*")  # pannuke's have none
        declared |= {(stage.verb, listed, named(key)) for key in mine}
        read |= {(stage.verb, listed, named(key)) for key in mine if any(covers(key, each) for each in found)}
    assert sorted(declared - read) == []


def named(key: str) -> str:
    """A declared key without the name of a variant or a data set, of which it has one each."""
    first, _, rest = key.partition(".")
    return f"{first}.*" if first in ("variants", "datasets", "sample") and rest else key
