"""Put the papers' budgets, sources and weights into the parameters; every comment stays where it is.

`lobule paper`, or `lobule paper STUDY ...` for some; afterwards `dvc repro` on a machine with a GPU rebuilds the
papers' tables. What is set stands in studies/<name>/paper/paper.yaml.
"""

import argparse
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.base.errors import Problem
from pipeline.base.files import write_text
from pipeline.base.params import PARAMS, Params, read_params
from pipeline.base.schema import parse, read_yaml
from pipeline.base.study import STUDIES, parse_study, read_study, study_names
from pipeline.reporting.paper import read_paper


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", nargs="*", help="whose paper (default: all that rebuild one)")


def run(arguments: argparse.Namespace) -> None:
    papers = {name: read_paper(name) for name in arguments.study or study_names()}
    if missing := [name for name in arguments.study if papers[name] is None]:
        raise Problem(f"the study {missing[0]} rebuilds no paper: it has no paper/paper.yaml; name others.")
    changed = []
    for name, paper in papers.items():
        if paper is not None:
            path = STUDIES / name / "params.yaml"
            changed += apply(path, paper.sets, partial(parse_study, path=path))
            changed += apply(PARAMS, paper.project, partial(parse, Params, name=str(PARAMS)))
    print("\n".join(changed) if changed else "The parameters hold the papers' values already.")
    drawn = still_drawn([name for name, paper in papers.items() if paper is not None])
    if drawn:
        print(
            f"Still drawn, since no program can download them: {', '.join(drawn)}. Give their folders as"
            " datasets.<name>.source in params.yaml, or their studies train on synthetic tiles."
        )


def still_drawn(studies: list[str]) -> list[str]:
    """The data sets of studies that params.yaml still has drawn."""
    params = read_params()
    names = dict.fromkeys(name for study in studies for name in read_study(study).datasets)
    return [name for name in names if params.datasets[name].source == "sample"]


def apply(path: Path, values: dict[str, Any], check: Callable[[Any], object]) -> list[str]:
    """Set dotted keys in a YAML file, keeping its comments and layout; return a line for each that changed.

    Args:
        check: refuses the file's content, parsed from YAML, where it is not valid.

    Raises:
        Problem: the file as it is, or as it would be, is not valid; nothing is written.
    """
    check(read_yaml(path))
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a list stays on its line
    document = yaml.load(path.read_text(encoding="utf-8"))
    changed = []
    for key, value in values.items():
        *blocks, last = key.split(".")
        block = document
        for name in blocks:
            block = block[name]
        if block[last] != value:
            changed.append(f"{path}: {key}: {_flow(block[last])} -> {_flow(value)}")
            if isinstance(value, list):
                block[last][:] = value  # the list's own object keeps its one-line style and its comment
            else:
                block[last] = value
    if changed:
        text = StringIO()
        yaml.dump(document, text)
        check(YAML(typ="safe").load(text.getvalue()))
        write_text(path, text.getvalue())
    return changed


def _flow(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
