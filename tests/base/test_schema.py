"""Whatever a params.yaml holds, a person gets a sentence and no traceback."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from pipeline.base.errors import Problem
from pipeline.base.params import Params
from pipeline.base.schema import Block, parse, read_yaml
from pipeline.base.study import KINDS

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


class Inner(Block):
    width: int = Field(gt=0)


class Outer(Block):
    inner: Inner
    sides: list[int]


def refused(raw: Any) -> str:
    with pytest.raises(Problem) as problem:
        parse(Outer, raw, "some.yaml")
    return str(problem.value)


def test_what_is_right_is_read() -> None:
    assert parse(Outer, {"inner": {"width": 3}, "sides": [1]}, "some.yaml") == Outer(inner=Inner(width=3), sides=[1])


def test_a_sentence_names_file_key_and_value() -> None:
    assert refused({"inner": {"width": 0}, "sides": []}) == (
        "some.yaml: inner.width is 0 but should be greater than 0."
    )
    assert refused({"inner": {"width": 1}, "sides": [1, "x"]}).startswith("some.yaml: sides.1 is 'x' but should be")
    assert refused({"inner": {"width": 1}}) == "some.yaml: sides is missing; add it."


def test_an_unknown_key_gets_the_nearest_of_its_own_block() -> None:
    raw = {"inner": {"width": 1, "wdith": 1}, "sides": []}
    assert refused(raw) == (
        "some.yaml: inner.wdith is not a known key (did you mean width?); remove it or correct its name."
    )
    raw = {"inner": {"width": 1, "side": 1}, "sides": []}
    assert refused(raw) == "some.yaml: inner.side is not a known key; remove it or correct its name."


@pytest.mark.parametrize("kind", [Outer, Params, *KINDS.values()])
@given(raw=ANYTHING)
def test_whatever_comes_is_refused_with_a_sentence(kind: type[Block], raw: Any) -> None:
    with pytest.raises(Problem, match=r"some\.yaml: "):
        parse(kind, raw, "some.yaml")


@pytest.mark.parametrize(
    "content", [b"encoder: [", b"a: b: c", b"\t", b"a: 1\na: 2", b"\xff\xfe\xfa", b"a: 2020-99-99"]
)
def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(Problem, match=r"params\.yaml is not valid YAML"):
        read_yaml(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"params\.yaml is missing; run this from the project's folder"):
        read_yaml(tmp_path / "params.yaml")


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n"])
def test_an_empty_file_is_called_empty(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(Problem, match=r"params\.yaml is empty; take it back from git"):
        read_yaml(path)


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LAUGHS, "has more than 100,000 values, with what aliases repeat"),
        (MERGES, "has more than 100,000 values"),
        ("a: " + "[" * 5000 + "]" * 5000, "is nested more than 32 levels deep"),
        ("".join(f"{' ' * n}a:\n" for n in range(200)), "is nested more than 32 levels deep"),
        ("a: &a [*a]", r"\*a names nothing that is complete before it"),
        ("a: *b", "b"),
        ("#" * (1 << 20) + "\n", "has more than 1,048,576 bytes"),
        ("a: !!python/object/apply:os.system [touch x]", "is not valid YAML"),
        ("a: !!int x", "is not valid YAML"),
        ("a: " + "1" * 5000, "is not valid YAML"),
        ("a: \0", "is not valid YAML"),
    ],
)
def test_bombs_and_tags_are_one_sentence(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(Problem, match=words) as problem:
        read_yaml(path)
    assert len(str(problem.value)) < 500


SIGNS = st.text("a:-[]{}&*!|>'\"#?%@,~<=.0123456789eE+_ \n\t", max_size=60).map(str.encode)


@settings(max_examples=50)
@given(content=SIGNS | st.binary(max_size=60))
def test_whatever_the_file_holds_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    try:
        parse(Outer, read_yaml(path), "any.yaml")
    except Problem as problem:
        assert str(problem)


def test_a_sentence_shows_no_more_than_a_person_reads() -> None:
    assert len(refused({"inner": {"width": "x" * 10**6}, "sides": ["y" * 10**6]})) < 400
    assert len(refused({"inner": {"width": 1}, "sides": [], "z" * 10**6: 1})) < 400
