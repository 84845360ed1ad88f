"""The commands, stages and parameters that the documentation has a reader type are there."""

import argparse
import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.commands import COMMANDS, apply

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if path.parent.name != "decisions"  # these tell of their time
]
OWN = {"mine", "lesions", "cells", "mytiles", "transfer"}  # studies that a reader makes
IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def typed(page: Path) -> list[str]:
    """What stands as code on a page: lines of blocks, what backticks enclose; with the values of shell variables."""
    text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
    for name, value in re.findall(r"^([A-Z]+)=(\S+)$", text, re.MULTILINE):
        text = text.replace(f"${name}", value)
    blocks = (
        re.findall(r"^ {4,}(\S.*)$", text, re.MULTILINE)
        + "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S)).splitlines()
    )
    return blocks + re.findall(r"`([^`\n]+)`", text)


def found(page: Path, pattern: str) -> list[Any]:
    return [match for line in typed(page) for match in re.findall(pattern, line)]


def read(path: str) -> Any:
    return YAML(typ="safe").load((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_of_lobule_targets_of_make_and_modules_are_there(page: Path) -> None:
    targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(found(page, r"^(?:\.venv/bin/)?lobule ([a-z]+)")) <= set(COMMANDS)
    assert set(found(page, r"^make ([\w./-]+)")) <= targets
    for module in found(page, r"python -m ((?:pipeline|benchmarks)[\w.]*\w)(?![\w.]*<)"):
        assert find_spec(module), f"{page.name} runs {module}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_what_is_typed_of_apply_can_be_parsed(page: Path) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    apply.add_arguments(parser)
    for words in found(page, r"^(?:\.venv/bin/)?lobule apply (\S+ \S+.* --out .*)"):
        parser.parse_args(shlex.split(words, comments=True))  # else it exits


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_stages_are_there(page: Path) -> None:
    for study, stage in found(page, r"(?:^| )studies/(\w+)/dvc\.yaml(?::([a-z-]+))?"):
        if study not in OWN:
            stages = read(f"studies/{study}/dvc.yaml")["stages"]
            assert not stage or stage in stages, f"{page.name} names the stage {stage} of {study}"
    for arguments in found(page, r"^(?:\.venv/bin/)?dvc (?:exp run|repro) (.*)"):
        for name, item in re.findall(
            r"(?:^| )([a-z]+)(?:@(\w+))?(?= |$)", re.sub(r"#.*|&&.*|-\S+ \S+=\S+", "", arguments)
        ):
            stages = read("dvc.yaml")["stages"]
            assert name in stages, f"{page.name} names the stage {name}"
            assert not item or item == "mine" or item in stages[name]["foreach"], f"{page.name} names {name}@{item}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_parameters_that_are_set_are_there(page: Path) -> None:
    for file, key in found(page, r"-S ['\"]?(?:([\w/.]+):)?([\w.-]+)="):
        block = read(file or "params.yaml")
        for name in key.split("."):
            assert name in block, f"{page.name} sets {key} of {file or 'params.yaml'}"
            block = block[name]
