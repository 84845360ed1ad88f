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
    **{
        path.relative_to(ROOT).as_posix(): "holds a docstring only"
        for path in ROOT.glob("pipeline/datasets/*/__init__.py")
    },
    "pipeline/metrics/__init__.py": "holds a docstring only",
    "pipeline/reporting/__init__.py": "holds a docstring only",
}


def stages() -> dict[str, dict[str, Any]]:
    """Every stage, a foreach or matrix once, with the templates left in."""
    found = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in found.items()}


def imported_files(module: str, lazily: bool = True) -> set[str]:
    """Files of this project that a module imports, and what these import in turn; what types alone need runs nothing.

    Args:
        lazily: count imports inside of functions, too, and not only those that run on loading.
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        path = module_file(waiting.pop())
        if path is None or path in found:
            continue
        found.add(path)
        tree = ast.parse((ROOT / path).read_text())
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        ]
        for node in ast.walk(tree) if lazily else tree.body:
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


@pytest.mark.parametrize("name", set(stages()) - {"download", "convert"})
def test_a_stage_names_the_code_it_imports(name: str) -> None:
    stage = stages()[name]
    imported = imported_files(stage["cmd"].split()[2]) - set(EXEMPT)
    named = named_files(stage) - set(EXEMPT)
    cards = {path for path in named if path.startswith("pipeline/datasets/") and not path.endswith("__init__.py")}
    if "pipeline/datasets/__init__.py" in imported:
        assert cards, f"{name} loads a data set's card by name and names none in its deps"
    else:
        assert not cards, f"{name} names {cards} and loads no data set's card"
    folders = {dep for dep in stage["deps"] if (ROOT / dep).is_dir()}
    in_folder = {path for path in named if any(path.startswith(f"{folder}/") for folder in folders)}
    assert {path for path in cards - in_folder if Path(path).name != "card.py"} == set()
    assert imported - named == set(), f"{name} imports code that its deps do not name"
    assert named - cards - in_folder - imported == set(), f"{name} names code that it does not import"


def items(name: str) -> dict[str, list[str]]:
    """The deps of a stage for each data set, each once."""
    stage = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"][name]
    found = {}
    for key, own in stage["foreach"].items():
        values = {"${key}": key} | {f"${{item.{word}}}": path for word, path in own.items()}
        deps = stage["do"]["deps"]
        for template, value in values.items():
            deps = [dep.replace(template, value) for dep in deps]
        found[key] = list(dict.fromkeys(deps))
    return found


@pytest.mark.parametrize("dataset", items("convert"))
@pytest.mark.parametrize("name", ["download", "convert"])
def test_a_data_set_names_its_own_code_and_no_other(name: str, dataset: str) -> None:
    own = f"pipeline.datasets.{dataset}"
    if name == "download":  # it makes no tiles: what a reader imports for them, it imports in functions
        needed = imported_files(f"{own}.reader", lazily=False) | imported_files(f"{own}.drawing", lazily=False)
        needed |= imported_files(f"{own}.drawing") - imported_files(f"{own}.reader")
    else:
        needed = imported_files(f"{own}.reader")
    needed = (needed | imported_files(f"pipeline.stages.{name}", lazily=False)) - set(EXEMPT)
    deps = items(name)[dataset]
    assert needed - named_files({"deps": deps}) == set(), f"{name}@{dataset} runs code that its deps do not name"
    for dep in deps:
        if dep.startswith("pipeline"):
            assert needed & named_files({"deps": [dep]}), f"{name}@{dataset} names {dep}, of which it runs nothing"


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


@pytest.mark.parametrize(
    ("file", "converted"),
    [
        ("pipeline/slides/tiling.py", ["bracs"]),
        ("pipeline/datasets/bracs/table.py", ["bracs"]),
        ("pipeline/datasets/members.py", ["tnbc", "monuseg", "bcss", "bach"]),
        ("pipeline/datasets/pannuke/reader.py", ["pannuke"]),
        ("pipeline/datasets/pannuke/drawing.py", []),
    ],
)
def test_a_change_converts_no_other_data_set_again(file: str, converted: list[str]) -> None:
    assert [item for item, deps in items("convert").items() if file in named_files({"deps": deps})] == converted


def test_no_data_and_no_private_picture_is_ever_pushed() -> None:
    for name, stage in stages().items():
        for out in stage.get("outs", []):
            ((path, options),) = out.items() if isinstance(out, dict) else [(out, {})]
            if path.startswith(("data/raw/", "data/tiles/", "reports/private/")):
                assert options["push"] is False, f"{name} lets {path} be pushed to a remote"
