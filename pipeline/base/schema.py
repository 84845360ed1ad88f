"""A block of a params.yaml: typed and checked, and what is wrong with it as a sentence."""

import difflib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.base.errors import Problem

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
        Problem: the file is missing or is no YAML.
    """
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path} is missing; run this from the project's folder, which holds dvc.yaml.") from None
    except (YAMLError, ValueError) as error:  # the second: no UTF-8, or a date that there is not
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise Problem(f"{path} is not valid YAML{line}: {getattr(error, 'problem', error)}.") from None


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
    key = ".".join(str(part) for part in place) or "the file"
    match error["type"]:
        case "extra_forbidden":
            return f"{name}: {key} is not a known key{_suggestion(place, kind)}; remove it or correct its name."
        case "missing":
            return f"{name}: {key} is missing; add it."
        case "value_error":
            return f"{name}: {key} {error['ctx']['error']}."
        case _:
            message = error["msg"].removeprefix("Input ")
            return f"{name}: {key} is {error['input']!r} but {message[0].lower()}{message[1:]}."


def _suggestion(place: list[Any], kind: Any) -> str:
    """The nearest known key beside an unknown one, as ' (did you mean ...?)', or nothing."""
    for part in place[:-1]:
        field = getattr(kind, "model_fields", {}).get(part)
        kind = field.annotation if field else None
    near = difflib.get_close_matches(str(place[-1]), getattr(kind, "model_fields", {}), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
