"""A block of a params.yaml: typed and checked, and what is wrong with it as a sentence."""

import difflib
import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from pipeline.base.errors import Problem

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # fits a path, a command and a report's Markdown as it is
LARGEST = 1 << 20  # bytes of a params.yaml
DEEPEST = 32  # levels in it
MOST = 100_000  # values in it, those that an alias repeats counted again
ALPHABET = "at most 64 letters, digits, dots, underscores and hyphens, a letter or digit first"
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_REPR.maxlist = _REPR.maxdict = 30


def shown(value: object) -> str:
    """A value as a sentence shows it: as Python writes it, not longer than a person reads."""
    return _REPR.repr(value)


def a_name(text: str) -> str:
    """Of a study, variant, encoder, class or data set, which becomes a path, a word of a command, a table's cell.

    Raises:
        ValueError: it has other characters than those of a name.
    """
    if not NAME.fullmatch(text):
        raise ValueError(f"is {shown(text)}, which is no name; give {ALPHABET}")
    return text


Name = Annotated[str, AfterValidator(a_name)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]


class Block(BaseModel):
    """A block of a params.yaml: typed, closed to unknown keys, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Kind = TypeVar("Kind", bound=Block)


def read_yaml(path: Path) -> Any:
    """What a params.yaml holds, unchecked.

    Raises:
        Problem: the file is missing or empty, is no YAML, or is larger or deeper than parameters are.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise Problem(f"{path} has more than {LARGEST:,} bytes, which is no file of parameters; give another one.")
        text = content.decode()
        _check_extent(text, path)
        raw = YAML(typ="safe").load(text)
    except FileNotFoundError:
        raise Problem(f"{path} is missing; run this from the project's folder, which holds dvc.yaml.") from None
    except OSError as error:
        raise Problem(f"{path} cannot be read ({error.strerror}); make it a file that you may read.") from None
    except (YAMLError, ValueError, TypeError, AttributeError, KeyError) as error:
        # also no UTF-8, a date or number that there is not, a key that is a list, a tag that misses its value
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        said = str(getattr(error, "problem", None) or error).splitlines()
        raise Problem(f"{path} is not valid YAML{line}: {said[0] if said else type(error).__name__}.") from None
    if raw is None:
        raise Problem(f"{path} is empty; take it back from git, or from another copy.")
    return raw


def _check_extent(text: str, path: Path) -> None:
    """Refuse nesting and repetition by aliases that would take up all memory, before anything of it is built."""
    sizes: dict[str, int] = {}  # anchor -> values in what it names
    open_: list[tuple[str | None, int]] = [(None, 0)]  # of each collection around: its anchor, the values so far
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, CollectionStartEvent):
            open_.append((event.anchor, 1))
            if len(open_) > DEEPEST:
                raise Problem(f"{path} is nested more than {DEEPEST} levels deep; no parameter is, write it anew.")
            continue
        if isinstance(event, AliasEvent):
            if event.anchor not in sizes:
                raise Problem(f"{path}: *{event.anchor} names nothing that is complete before it; write the value out.")
            anchor, size = None, sizes[event.anchor]
        elif isinstance(event, ScalarEvent):
            anchor, size = event.anchor, 1
        elif isinstance(event, CollectionEndEvent):
            anchor, size = open_.pop()
        else:
            continue
        if anchor:
            sizes[anchor] = size
        open_[-1] = (open_[-1][0], open_[-1][1] + size)
        if open_[-1][1] > MOST:
            raise Problem(f"{path} has more than {MOST:,} values, with what aliases repeat; write it without aliases.")


def parse(kind: type[Kind], raw: Any, name: str) -> Kind:
    """Check what a file of this name holds, already parsed from YAML.

    Raises:
        Problem: one sentence for each thing that is wrong.
    """
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        sentences = [sentence(details, name, kind) for details in error.errors()]
        raise Problem("\n        ".join(dict.fromkeys(sentences))) from None


def sentence(error: Any, name: str, kind: type[Block]) -> str:
    """Say one pydantic error as a sentence that names the key, the value and the cure."""
    place = list(error["loc"])
    if error["type"] not in {"extra_forbidden", "missing"}:
        # Where a value may be of several types, pydantic names the tried type last; a person knows keys only.
        place = [
            part
            for part in place
            if not str(part).startswith(("list[", "literal[", "dict[", "constrained-", "function-"))
        ]
    key = ".".join(str(part) for part in place if part != "[key]") or "the file"
    key = key if key.isprintable() and len(key) <= 200 else shown(key)
    match error["type"]:
        case "extra_forbidden":
            return f"{name}: {key} is not a known key{_suggestion(place, kind)}; remove it or correct its name."
        case "missing":
            return f"{name}: {key} is missing; add it."
        case "value_error":
            return f"{name}: {key} {error['ctx']['error']}."
        case _:
            message = error["msg"].removeprefix("Input ")
            return f"{name}: {key} is {shown(error['input'])} but {message[0].lower()}{message[1:]}."


def _suggestion(place: list[Any], kind: Any) -> str:
    """The nearest known key beside an unknown one, as ' (did you mean ...?)', or nothing."""
    for part in place[:-1]:
        field = getattr(kind, "model_fields", {}).get(part)
        kind = field.annotation if field else None
    near = difflib.get_close_matches(str(place[-1]), getattr(kind, "model_fields", {}), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
