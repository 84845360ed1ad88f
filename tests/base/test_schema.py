"""Whatever a params.yaml holds, a person gets a sentence and no traceback."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
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
