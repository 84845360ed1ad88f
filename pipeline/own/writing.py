"""Write a study of one's own: its folder, its data set in params.yaml, its lines on the front page; all, or nothing."""

import difflib
import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from ruamel.yaml import YAML

from pipeline.base.errors import Problem
from pipeline.base.files import write_text
from pipeline.base.params import PARAMS, Params
from pipeline.base.schema import parse, read_yaml
from pipeline.base.study import STUDIES, parse_study

TEMPLATE = Path(__file__).with_name("study.yaml.j2")
STAGES = STUDIES / "stages.dvc.yaml"
PROJECT = Path("dvc.yaml")
FRONT_PAGE = {  # the lines of the front page's stage that there are for every study, and how one is written
    r"      - reports/([^/:\s]+)": "      - reports/{}",
    r"      - studies/([^/:\s]+)/paper": "      - studies/{}/paper",
    r"      - studies/([^/:\s]+)/params\.yaml: [*&]compared.*": "      - studies/{}/params.yaml: *compared",
}
PLAIN = re.compile(r"[A-Za-z][\w.-]*")  # text that YAML takes for text
Texts = dict[Path, str]


def study_text(**values: Any) -> str:
    """The params.yaml of a study of one's own."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["flow"] = lambda values: ", ".join(map(_scalar, values))
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(**values)


def _scalar(value: Any) -> str:
    """A value in a list of YAML, in quotes where it would not be text without."""
    plain = not isinstance(value, str) or (PLAIN.fullmatch(value) and value.lower() not in {"true", "false", "null"})
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


def folder_texts(name: str, params: str) -> Texts:
    """The files of a study's folder, checked.

    Raises:
        Problem: the parameters are not allowed.
    """
    folder = STUDIES / name
    parse_study(YAML(typ="safe").load(params), folder / "params.yaml")
    stages = STAGES.read_text(encoding="utf-8").replace("{study: NAME}", f"{{study: {name}}}")  # as `make stages` does
    return {folder / "params.yaml": params, folder / "dvc.yaml": stages, folder / "paper/.gitkeep": ""}


def project_texts(name: str, kind: str, dataset: dict[str, Any]) -> Texts:
    """params.yaml with the data set in it, every comment where it was, and dvc.yaml with the study's lines.

    Raises:
        Problem: params.yaml is not valid, as it is or as it would be.
    """
    parse(Params, read_yaml(PARAMS), str(PARAMS))
    yaml = YAML()
    yaml.preserve_quotes = True
    document = yaml.load(PARAMS.read_text(encoding="utf-8"))
    document["own"][name] = kind
    if name in document["datasets"]:
        document["datasets"][name] = dataset
    else:
        document["datasets"].insert(0, name, dataset)  # what is added last would come after a comment of the next block
    text = StringIO()
    yaml.dump(document, text)
    parse(Params, YAML(typ="safe").load(text.getvalue()), str(PARAMS))
    return {PARAMS: text.getvalue(), PROJECT: front_page(name)}


def front_page(name: str) -> str:
    """dvc.yaml in which the stage of the front page names a study, in the order of the names.

    Raises:
        Problem: it has no such stage.
    """
    lines = PROJECT.read_text(encoding="utf-8").splitlines()
    for pattern, line in FRONT_PAGE.items():
        mine = [(number, match[1]) for number, each in enumerate(lines) if (match := re.fullmatch(pattern, each))]
        if not mine:
            raise Problem(f"{PROJECT} has no stage summary with lines such as `{line.strip()}`; take the file of git.")
        if name not in [other for _, other in mine]:
            before = [number for number, other in mine if other < name] or [mine[0][0]]  # never before the anchor
            lines.insert(before[-1] + 1, line.format(name))
    return "\n".join(lines) + "\n"


def changes(texts: Texts) -> str:
    """What writing these files would change, as a unified diff; nothing of files that are not there yet."""
    found: list[str] = []
    for path, text in texts.items():
        if path.exists() and (old := path.read_text(encoding="utf-8")) != text:
            named = (f"{path} as it is", f"{path} as it would be")
            found += difflib.unified_diff(old.splitlines(), text.splitlines(), *named, lineterm="", n=1)
    return "\n".join(found)


def write(texts: Texts) -> None:
    """Write the files that are new or differ, params.yaml and dvc.yaml last, which make a study of the folder."""
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
            print(f"written: {path}")
