"""Which class of a model each class of a truth is: by its name, or as a person says."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.applying.truth.asked import IGNORE
from pipeline.base.errors import Problem
from pipeline.own.legend import suggestion
from pipeline.own.outline_classes import listed
from pipeline.tiles import store


def correspond(
    found: Counter[str], classes: Sequence[str], ignored: Sequence[str], asked: Mapping[str, str]
) -> dict[str, int]:
    """The model's class code, or store.IGNORE, of each name in the truth, in lower case.

    A derived class of QuPath (`Tumor: Positive`) is that of the first of its parts that is known. What has no class
    is of none of them.

    Args:
        found: names in the truth -> how many outlines, or pixels, have them.
        classes: of the model, in the order of their codes.
        ignored: those of them that count nowhere.
        asked: names in the truth, in lower case -> class of the model, or IGNORE.

    Raises:
        Problem: a name is of no class, none is of any, or what was asked for is not there.
    """
    codes = {name: store.IGNORE if name in ignored else code for code, name in enumerate(classes)}
    known = {each: code for name, code in codes.items() for each in (name.lower(), suggestion(name).lower())}
    for theirs, mine in asked.items():
        if mine != IGNORE and mine not in codes:
            raise Problem(f"--class names {mine}, which the model does not know; it knows {', '.join(classes)}.")
        if not any(theirs in _parts(name) for name in found):
            raise Problem(f"--class names {theirs}, which the truth does not hold; it holds {listed(found)}.")
        known[theirs] = codes.get(mine, store.IGNORE)
    meant, strange = {}, Counter[str]()
    for name, count in found.items():
        code = next((known[each] for each in (*_parts(name), suggestion(name).lower()) if each in known), None)
        if code is not None:
            meant[name.strip().lower()] = code
        elif name.strip():
            strange[name] = count
    if strange:
        first = next(iter(strange))
        raise Problem(
            f"the truth holds {listed(strange)}, which the model does not know; it knows {', '.join(classes)}. Say what"
            f" each is with `--class '{classes[-1]}={first}'`, or that it counts nowhere with `--class"
            f" '{IGNORE}={first}'`."
        )
    if not meant:
        raise Problem(
            f"nothing in the truth has a class, it holds {listed(found)}; the model knows {', '.join(classes)}. Give"
            " the outlines classes and export them again."
        )
    return meant


def _parts(name: str) -> list[str]:
    whole = name.strip().lower()
    return [whole, *(part.strip() for part in whole.split(": ") if part.strip() != whole)]
