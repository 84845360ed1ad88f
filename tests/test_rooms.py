"""Rooms import each other one way: whoever changes one knows which others it may touch."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PIPELINE = ROOT / "pipeline"
LAST = {"stages", "commands"}  # what DVC and what a person runs


def imported(source: str) -> Iterator[str]:
    """The modules of the package that a source imports, wherever it does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "pipeline":
            yield from (f"pipeline.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pipeline."):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("pipeline."))


def rooms() -> dict[str, set[str]]:
    """Each room and the other rooms that its modules import."""
    found: dict[str, set[str]] = {path.name: set() for path in PIPELINE.iterdir() if (path / "__init__.py").exists()}
    for room, others in found.items():
        for path in (PIPELINE / room).rglob("*.py"):
            others |= {name.split(".")[1] for name in imported(path.read_text(encoding="utf-8"))} - {room}
    return found


def test_every_form_of_import_is_seen() -> None:
    source = "from pipeline import tasks\ndef f():\n    from pipeline.tiles.plan import x\nimport pipeline.base.files\n"
    assert sorted(imported(source)) == ["pipeline.base.files", "pipeline.tasks", "pipeline.tiles.plan"]


def test_no_two_rooms_import_each_other() -> None:
    found = rooms()
    TopologicalSorter(found).prepare()  # raises where they do
    assert not found["base"]
    with pytest.raises(CycleError):
        TopologicalSorter(found | {"training": {"tasks"}}).prepare()


def test_nothing_imports_what_is_run() -> None:
    for room, others in rooms().items():
        assert not others & LAST, f"{room} imports {others & LAST}"
