"""The package knows no study and no data set by name, and its modules stay small."""

import ast
import io
import statistics
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PIPELINE = ROOT / "pipeline"
STUDIES = {path.parent.name for path in (ROOT / "studies").glob("*/params.yaml")}
DATASETS = {path.parent.name for path in (PIPELINE / "datasets").glob("*/drawing.py")}
MODULES = sorted(path.relative_to(PIPELINE) for path in PIPELINE.rglob("*.py"))
# A layout that others publish in, too, is called by the data set that it comes from: what reads it, and `lobule new`.
LAYOUTS = {"pannuke": {"datasets/folds/reader.py", "own/asked.py", "own/folds.py", "commands/new.py"}}
MOST_LINES, MEDIAN_LINES = 300, 110


def docstrings(source: str) -> set[tuple[int, int]]:
    """Line and column at which each docstring begins."""
    nodes = ast.walk(ast.parse(source))
    owners = [node for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    first = [node.body[0] for node in owners if node.body]
    return {
        (node.value.lineno, node.value.col_offset)
        for node in first
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def words(source: str) -> Iterator[tuple[int, str]]:
    """Line and word, lower-case, of what stands in names and strings: neither in docstrings nor in comments."""
    texts = docstrings(source)
    strings = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME or (token.type in strings and token.start not in texts):
            for word in "".join(letter if letter.isalnum() else " " for letter in token.string.lower()).split():
                yield token.start[0], word


def test_words_are_those_of_code() -> None:
    body = '    """As in bracs."""\n    return f"x/{y}/PanNuke.h5"\n'
    source = f'"""Of tnbc."""\nimport a_bach  # bcss\n\n\ndef f():\n{body}'
    found = {word for _, word in words(source)}
    assert {"a", "bach", "x", "pannuke", "h5"} <= found
    assert not found & {"tnbc", "bcss", "bracs"}
    assert STUDIES and DATASETS


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_study_and_no_data_set_stands_in_code_outside_of_its_own_folder(module: Path) -> None:
    own = {module.parts[1]} if module.parts[0] == "datasets" and len(module.parts) > 2 else set()
    own |= {name for name, modules in LAYOUTS.items() if module.as_posix() in modules}
    found = words((PIPELINE / module).read_text(encoding="utf-8"))
    named = [f"{module}:{line} {word}" for line, word in found if word in (STUDIES | DATASETS) - own]
    assert named == []


def test_modules_are_small_and_none_lies_flat() -> None:
    lines = {module: len((PIPELINE / module).read_text(encoding="utf-8").splitlines()) for module in MODULES}
    assert [str(module) for module, count in lines.items() if count > MOST_LINES] == []
    assert statistics.median(lines.values()) < MEDIAN_LINES
    assert [str(module) for module in MODULES if len(module.parts) == 1] == ["__init__.py"]


def test_templates_and_tables_name_none_either() -> None:
    others = [path for path in PIPELINE.rglob("*") if path.suffix in {".j2", ".csv", ".txt"}]
    assert others
    for path in others:
        text = "".join(letter if letter.isalnum() else " " for letter in path.read_text(encoding="utf-8").lower())
        assert not set(text.split()) & (STUDIES | DATASETS), path
