"""Whatever a slide, a patient or a folder is called, a report shows that name and makes nothing else of it."""

import html

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.reporting.markdown import code, fenced, literal

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = [
    "<script>alert(1)</script>",
    "a | b",
    "![x](https://a.bc/x.png)",
    "[x](javascript:alert(1))",
    "**b** _i_ ~~s~~ `c` ``d`` `",
    "x\n\n# heading\n- item\n```",
    "<https://a.bc> https://a.bc www.a.bc a@b.cd",
    "&lt;b&gt; &#60;",
    "\\| \\` \\<b>",
    "$x$ {{ 7 * 7 }} {% for %}",
    "\u202ereversed\u2028line",
    "# x",
    "1. x",
    "- x",
    "",
]
NAMES = st.text(max_size=30) | st.text("<>|`*_[]()!&;#\\\n -x1.:/@~", max_size=30)


def on_one_line(name: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in name)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("text", ["{}", "a {} b", "- {}", "| a | b |\n|---|---|\n| {} | c |\n"])
def test_hostile_names_are_text(name: str, text: str) -> None:
    assert_text(name, text)


@given(name=NAMES)
@example(name="a__b_")
def test_any_name_is_text(name: str) -> None:
    assert_text(name, "a {} b")
    assert_text(name, "| a | b |\n|---|---|\n| {} | c |\n")


def assert_text(name: str, text: str) -> None:
    """A name within a text makes the same blocks and marks as a plain word does, and reads as itself."""
    if shown := on_one_line(name).strip():
        plain, named = (MARKDOWN.render(text.format(word)) for word in ("word", literal(name)))
        assert closed(html.unescape(named)) == closed(plain.replace("word", shown))


def closed(text: str) -> str:
    """Without white space, which Markdown does not keep."""
    return "".join(text.split())


@given(name=NAMES)
def test_code_is_code_and_nothing_else(name: str) -> None:
    shown = on_one_line(name)
    if shown.strip():
        assert closed(html.unescape(MARKDOWN.renderInline(code(name)))) == closed(f"<code>{shown}</code>")


@given(text=NAMES)
def test_a_block_of_code_ends_where_it_should(text: str) -> None:
    tokens = MARKDOWN.parse(fenced(f"{text}\n", "yaml") + "\n\nafter\n")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize("name", ["TCGA-A7-A13E-01Z-00-DX1", "BRACS_1494", "patient_01", "H&E", "a-b.c (2)", "Köln"])
def test_usual_names_stay_as_they_are(name: str) -> None:
    assert literal(name) == name and code(name) == f"`{name}`"
