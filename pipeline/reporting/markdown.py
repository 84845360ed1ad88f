"""Names from outside (slides, patients, files, folders) as Markdown shows them: as they are, never as markup."""

import re

MARKUP = re.compile(
    r"[\\`*\[\]<>|~$@]|^[#+\-=]|^\d{1,9}(?=[.)])|&(?=#?\w+;)|(?<!\w)_|_(?!\w)|(?<=:)//|(?<=www)\.|!(?=\[)",
    re.IGNORECASE | re.ASCII,
)


def literal(name: object) -> str:
    """A name within a sentence or a table's cell: every sign that is markup, HTML or a link becomes an entity."""
    return MARKUP.sub(lambda found: "".join(f"&#{ord(sign)};" for sign in found[0]), _line(name))


def code(name: object) -> str:
    """A name as code: between more backticks than it has itself."""
    line = _line(name)
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fenced(text: str, language: str) -> str:
    """Lines as a block of code, whose fence is longer than any in them."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}{fence}"


def _line(name: object) -> str:
    """On one line, without what does not print: a line end begins new markup, other signs turn text around."""
    return "".join(sign if sign.isprintable() else " " for sign in str(name))


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
