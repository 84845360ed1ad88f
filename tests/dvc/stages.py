"""The stages of the project as DVC resolves them, and the code that each imports."""

import ast
import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from dvc.stage import PipelineStage
from networkx import topological_sort

ROOT = Path(__file__).parents[2]
PARTS = {"train": "learn", "predict": "predict", "evaluate": "score", "report": "report"}  # verb -> of its task


@dataclass(frozen=True)
class Stage:
    """A stage, with everything in it that DVC takes from params.yaml and the matrix put in."""

    stage: PipelineStage

    @property
    def study(self) -> str:
        """The study whose stage it is, or nothing."""
        folder = Path(self.stage.path_in_repo).parent
        return folder.name if folder.parts else ""

    @property
    def kind(self) -> str:
        """Its name in dvc.yaml, such as train-ablation."""
        return str(self.stage.name).partition("@")[0]

    @property
    def item(self) -> str:
        """Which of its kind it is: a data set, or run, seed, variant and plan."""
        return str(self.stage.name).partition("@")[2]

    @property
    def command(self) -> list[str]:
        """The module that it runs, and what it tells it."""
        python, option, *command = self.stage.cmd.split()
        assert (python, option) == ("python", "-m")
        return command

    @property
    def verb(self) -> str:
        """The name of its module in pipeline/stages."""
        return self.command[0].rpartition(".")[2]

    @property
    def deps(self) -> list[str]:
        """What it names under deps: files and folders from the project's folder on."""
        return [dep.def_path for dep in self.stage.deps if not isinstance(dep, ParamsDependency)]

    @cached_property
    def params(self) -> dict[str, list[str]]:
        """The keys that it names under params, by file."""
        return {dep.def_path: dep.params for dep in self.stage.deps if isinstance(dep, ParamsDependency)}

    @property
    def outs(self) -> dict[str, bool]:
        """What it writes, and whether that may be pushed to a remote."""
        return {out.def_path: out.can_push for out in self.stage.outs}

    @property
    def code(self) -> set[str]:
        """The Python files that its deps name; a folder stands for all in it."""
        return {file for dep in self.deps if dep.startswith("pipeline") for file in python_files(dep)}


@cache
def python_files(path: str) -> frozenset[str]:
    """The Python files of a folder, or a Python file itself."""
    found = (ROOT / path).rglob("*.py") if (ROOT / path).is_dir() else [ROOT / path]
    return frozenset(file.relative_to(ROOT).as_posix() for file in found if file.suffix == ".py")


@cache
def stages() -> list[Stage]:
    """Every stage of this project."""
    with Repo(ROOT) as repo:
        return [Stage(stage) for stage in repo.index.stages]


def in_order(root: Path) -> list[Stage]:
    """Every stage of the project in a folder; those that a stage depends on come before it."""
    with Repo(root) as repo, warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return [Stage(stage) for stage in reversed(list(topological_sort(repo.index.graph)))]


def one_of_each_kind() -> list[Stage]:
    """One stage of each kind and study, and of each data set."""
    found = {(stage.study, stage.kind, "" if stage.study else stage.item): stage for stage in reversed(stages())}
    return [found[key] for key in sorted(found)]


@cache
def imported_files(module: str, lazily: bool = True) -> frozenset[str]:
    """Files of this project that a module imports, and what these import in turn; what types alone need runs nothing.

    Args:
        lazily: count imports inside of functions, too, and not only those that run on loading.
    """
    found: set[tuple[str, bool]] = set()
    waiting = [(module, lazily)]
    while waiting:
        name, whole = waiting.pop()
        path = module_file(name)
        if path is None or (path, whole) in found:
            continue
        found.add((path, whole))
        waiting.append((name.rpartition(".")[0], False))  # Python loads the package that a module is in
        tree = ast.parse((ROOT / path).read_text())
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        ]
        for node in ast.walk(tree) if whole else tree.body:
            if isinstance(node, ast.Import):
                waiting += [(name.name, lazily) for name in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting += [(node.module, lazily), *((f"{node.module}.{name.name}", lazily) for name in node.names)]
    return frozenset(path for path, _ in found)


def module_file(module: str) -> str | None:
    """The file of a module of this project, None of any other."""
    path = module.replace(".", "/")
    found = [file for file in (f"{path}.py", f"{path}/__init__.py") if (ROOT / file).is_file()]
    return found[0] if module.startswith("pipeline") and found else None


@cache
def changes_no_result(file: str) -> bool:
    """Whether no stage names a file: pipeline/base says how and never what, a docstring does nothing."""
    if file.startswith("pipeline/base/"):
        return True
    body = ast.parse((ROOT / file).read_text()).body
    return file.endswith("__init__.py") and all(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body
    )
