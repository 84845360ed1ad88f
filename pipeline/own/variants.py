"""What a study compares: each encoder, or, where several first weights are given, each encoder with each of them."""

import re
from collections.abc import Sequence
from typing import Any

from pipeline.base.errors import Problem
from pipeline.base.paths import expand
from pipeline.base.schema import ALPHABET, NAME
from pipeline.models.encoders import PLAIN

KNOWN = ("random", "imagenet")
Variants = dict[str, dict[str, Any]]  # by name, as params.yaml has them


def read_weights(given: Sequence[str]) -> dict[str, str]:
    """First weights by what variants call them: random, imagenet, `name=path` of a checkpoint, or its path alone.

    Raises:
        Problem: a checkpoint is no file, or two have one name.
    """
    found: dict[str, str] = {}
    for text in given:
        name, weights = _named(text)
        if weights not in KNOWN and not expand(weights).is_file():
            raise Problem(
                f"--weights is {weights}, which is no file; give random, imagenet or the path of a checkpoint."
            )
        if name in found:
            raise Problem(f"--weights calls two {name}; give each its own name: `--weights NAME=PATH`.")
        found[name] = weights
    return found


def _named(text: str) -> tuple[str, str]:
    """What weights are called, and what they are; a path may have the sign = in it."""
    name, sign, weights = text.partition("=")
    if sign and NAME.fullmatch(name) and not expand(text).is_file():
        return name, weights
    return (text, text) if text in KNOWN else (re.sub(r"[^A-Za-z0-9_-]+", "-", expand(text).stem).strip("-_"), text)


def variants_of(encoders: Sequence[str], weights: dict[str, str]) -> Variants:
    """What is compared: of several weights each with each encoder but the plain U-Nets, for which there are none.

    Raises:
        Problem: a name is too long.
    """
    found: Variants = {}
    for encoder in encoders:
        if len(weights) == 1 or encoder in PLAIN:
            found[encoder] = {"encoder": encoder} | ({} if len(weights) == 1 else {"model": {"weights": "random"}})
            continue
        for name, value in weights.items():
            called = f"{encoder}-{name}"
            if not NAME.fullmatch(called):
                raise Problem(
                    f"{called} is no name of a variant, which has {ALPHABET}; give --weights a short name: NAME=PATH."
                )
            found[called] = {"encoder": encoder, "model": {"weights": value}}
    return found
