"""`lobule prune`: stages that left the pipeline leave every dvc.lock, and nothing else changes by a byte."""

from pathlib import Path

import pytest

from tests.commands import project

pytestmark = pytest.mark.slow


def locks(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("dvc.lock"))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project")
    project.make(made, ["first", "second"])
    project.run(made, "-m", "dvc", "repro", "--quiet")
    return made


def test_stages_that_left_are_taken_out_of_their_own_lock(folder: Path) -> None:
    before = locks(folder)
    assert project.lobule(folder, "prune").stdout == "No stage has left the pipeline.\n"
    assert locks(folder) == before
    definition = folder / "studies/first/dvc.yaml"
    text = definition.read_text()
    definition.write_text(text.replace("[plain, augmented]", "[plain, augmented, old, older]"))
    project.run(folder, "-m", "dvc", "repro", "--quiet", "studies/first/dvc.yaml")
    assert len(locks(folder)["studies/first/dvc.lock"]) > len(before["studies/first/dvc.lock"])
    definition.write_text(text)
    done = project.lobule(folder, "prune")
    assert done.stdout == (
        "studies/first/dvc.lock: 2 taken out: train@old, train@older\n2 stages had left the pipeline.\n"
    )
    assert locks(folder) == before


def test_the_lock_of_a_study_that_left_goes(folder: Path) -> None:
    before = locks(folder)
    definition = folder / "studies/second/dvc.yaml"
    text = definition.read_text()
    definition.unlink()
    done = project.lobule(folder, "prune")
    definition.write_text(text)
    assert done.stdout.startswith("studies/second/dvc.lock: 3 taken out: ")
    assert locks(folder) == {name: lock for name, lock in before.items() if name != "studies/second/dvc.lock"}


def test_a_pipeline_that_cannot_be_read_loses_nothing(folder: Path) -> None:
    before = locks(folder)
    definition = folder / "studies/first/dvc.yaml"
    text = definition.read_text()
    definition.write_text(text.replace("foreach", "forich"))
    done = project.lobule(folder, "prune")
    definition.write_text(text)
    assert done.returncode == 1 and done.stderr.startswith("lobule: DVC cannot read the pipeline (")
    assert locks(folder) == before
