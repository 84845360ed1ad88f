"""dvc.yaml names, for every stage, exactly the code that the stage imports."""

import ast
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]

# Code that no stage names, with the reason. A change to these changes no result:
EXEMPT = {
    "pipeline/__init__.py": "holds a docstring only",
    "pipeline/base/errors.py": "how a problem is told; a sentence must not retrain a model",
    "pipeline/base/files.py": "how an output is put in its place, never what is in it",
    "pipeline/base/params.py": "checks types and ranges; the values that a stage uses are under its params",
    "pipeline/base/progress.py": "shows progress",
    "pipeline/base/archives.py": "refuses an archive or lets it pass",
    "pipeline/base/fetch.py": "gives the bytes of a known checksum, or none",
    "pipeline/base/tracking.py": "MLflow's copy of the results; no stage reads it",
    "pipeline/base/__init__.py": "holds a docstring only",
    "pipeline/commands/__init__.py": "holds a docstring only",
    "pipeline/nuclei/__init__.py": "holds a docstring only",
    "pipeline/plans/__init__.py": "holds a docstring only",
    "pipeline/stages/__init__.py": "holds a docstring only",
    "pipeline/tasks/__init__.py": "holds a docstring only",
    "pipeline/tasks/detection/__init__.py": "holds a docstring only",
    "pipeline/tasks/segmentation/__init__.py": "holds a docstring only",
    "pipeline/tiles/__init__.py": "holds a docstring only",
    "pipeline/training/__init__.py": "holds a docstring only",
    "pipeline/slides/__init__.py": "holds a docstring only",
    "pipeline/metrics/__init__.py": "holds a docstring only",
    "pipeline/reporting/__init__.py": "holds a docstring only",
}


# What data sets import to make tiles, which downloading them does not:
TO_TILE = {
    f"pipeline/{name}.py"
    for name in (
        "nuclei/watershed",
        "nuclei/pseudo_instances",
        "slides/__init__",
        "slides/annotations",
        "slides/contact_sheet",
        "slides/geojson",
        "slides/slide",
        "slides/tiff",
        "slides/tiling",
        "tiles/store",
    )
}


def stages() -> dict[str, dict[str, Any]]:
    """Every stage, a foreach or matrix once, with the templates left in."""
    found = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in found.items()}


def imported_files(module: str) -> set[str]:
    """Files of this project that a module imports, wherever in it, and what these import in turn."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        path = module_file(waiting.pop())
        if path is None or path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.Import):
                waiting += [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    return found


def module_file(module: str) -> str | None:
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if module.startswith("pipeline") and (ROOT / candidate).is_file():
            return candidate.as_posix()
    return None


def named_files(stage: dict[str, Any]) -> set[str]:
    """Python files of this project that a stage's deps name; a folder stands for all in it."""
    found: set[str] = set()
    for dep in stage["deps"]:
        if dep.startswith("pipeline"):
            path = ROOT / dep
            found |= {p.relative_to(ROOT).as_posix() for p in path.rglob("*.py")} if path.is_dir() else {dep}
    return {path for path in found if path.endswith(".py")}


@pytest.mark.parametrize("name", stages())
def test_a_stage_names_the_code_it_imports(name: str) -> None:
    stage = stages()[name]
    module = stage["cmd"].split()[2]
    imported = imported_files(module) - set(EXEMPT)
    named = named_files(stage) - set(EXEMPT)
    chosen = {path for path in named if path.startswith("pipeline/datasets/") and not path.endswith("__init__.py")}
    if "pipeline/datasets/__init__.py" in imported:
        assert chosen, f"{name} loads a data set's module by name and names none in its deps"
    else:
        assert not chosen, f"{name} names {chosen} and loads no data set's module"
    if chosen:  # a reader's own code may be named beside it
        readers = [f"pipeline.datasets.{path.stem}" for path in (ROOT / "pipeline/datasets").glob("*.py")]
        chosen = chosen.union(*(named & imported_files(reader) for reader in readers))
    folders = {dep for dep in stage["deps"] if (ROOT / dep).is_dir()}
    extra = {path for path in named - chosen if not any(path.startswith(f"{folder}/") for folder in folders)}
    assert imported - named == set(), f"{name} imports code that its deps do not name"
    assert extra - imported == set(), f"{name} names code that it does not import"


@pytest.mark.parametrize("name", ["download", "convert"])
def test_a_stage_that_reads_data_sets_names_the_code_of_all_their_readers(name: str) -> None:
    stage = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"][name]
    own = stage["foreach"] if isinstance(stage["foreach"], dict) else {item: {} for item in stage["foreach"]}
    for item, values in own.items():
        named = named_files({"deps": [*stage["do"]["deps"], *values.values()]}) | set(EXEMPT)
        needed = imported_files(f"pipeline.datasets.{item}") - {f"pipeline/datasets/{item}.py"}
        if name == "download":
            needed -= TO_TILE
        assert needed - named == set(), f"{name}@{item} reads with code that its deps do not name"


@pytest.mark.parametrize("name", stages())
def test_the_files_that_a_stage_names_are_there(name: str) -> None:
    for dep in stages()[name]["deps"]:
        if dep.startswith("pipeline") and "${" not in dep:
            assert (ROOT / dep).exists(), f"{name} names {dep}, which is not there"


def test_no_stage_imports_another() -> None:
    modules = {stage["cmd"].split()[2] for stage in stages().values()}
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
                assert not names & modules, f"{path} imports the stage {names & modules}"


def test_code_for_slides_alone_converts_no_other_data_set_again() -> None:
    convert = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]["convert"]
    assert "pipeline/slides" not in convert["do"]["deps"]
    assert [item for item, own in convert["foreach"].items() if "pipeline/slides" in own.values()] == ["bracs"]


def test_no_data_and_no_private_picture_is_ever_pushed() -> None:
    for name, stage in stages().items():
        for out in stage.get("outs", []):
            ((path, options),) = out.items() if isinstance(out, dict) else [(out, {})]
            if path.startswith(("data/raw/", "data/tiles/", "reports/private/")):
                assert options["push"] is False, f"{name} lets {path} be pushed to a remote"
