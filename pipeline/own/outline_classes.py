"""What the classes of outlines are, from the names that annotations give them and what was asked for."""

from collections import Counter
from collections.abc import Sequence

from pipeline.base.errors import Problem
from pipeline.own.legend import check_name, suggestion

BACKGROUND = "background"


def region_of(asked: str | None, names: Counter[str]) -> str | None:
    """The class of regions of interest as the annotations call it.

    Raises:
        Problem: no annotation has it.
    """
    if asked is None:
        return None
    found = [name for name in names if name.lower() == asked.strip().lower()]
    if not found:
        raise Problem(f"--region-class is {asked}, which no outline is of; the annotations hold {listed(names)}.")
    return found[0]


def classes_of(asked: Sequence[str], names: Counter[str], region: str | None) -> dict[str, str]:
    """The classes, the first of them the background, and what annotations call each.

    Without names that were asked for these are all that the annotations have, in alphabetical order.

    Raises:
        Problem: there is none, or one that was asked for is in no annotation.
    """
    called: dict[str, set[str]] = {}  # in lower case -> as it is written
    for name in names:
        if name and name.lower() != (region or "").lower():
            called.setdefault(name.lower(), set()).add(name)
    written = {small: min(spelled) for small, spelled in called.items()}
    if not written:
        raise Problem(
            f"no outline has a class{' but ' + region if region else ''}; the annotations hold {listed(names)}. Give"
            " the outlines classes and export them again."
        )
    if not asked:
        rest = sorted(small for small in written if small != BACKGROUND)
        found = {BACKGROUND: written.get(BACKGROUND, "none")} | {
            suggestion(written[small]): written[small] for small in rest
        }
        if len(found) <= len(rest):
            raise Problem(f"two classes of {listed(names)} are alike but for signs; rename one in the annotations.")
        return found
    found = {}
    for place, name in enumerate(asked):
        check_name(name, "--classes")
        if name in found:
            raise Problem(f"--classes names {name} twice; give each class a name of its own.")
        fitting = [text for small, text in written.items() if name.lower() in (small, suggestion(text).lower())]
        if not fitting and place:
            raise Problem(f"--classes names {name}, which no outline is of; the annotations hold {listed(names)}.")
        found[name] = fitting[0] if fitting else "none"
    if len(found) < 2:
        raise Problem(f"--classes names {len(found)} class; give the background first, and at least one more.")
    return found


def not_outlined(asked: str | None, classes: dict[str, str], names: Counter[str]) -> str:
    """What lies in no outline: background, or ignored where the background is outlined itself.

    Raises:
        Problem: it shall be ignored, and no outline is of the background.
    """
    first = next(iter(classes))
    if asked == "ignore" and classes[first] == "none":
        raise Problem(
            f"--not-outlined ignore leaves nothing of the first class, {first}, which no outline is of; name one first"
            f" that is. The annotations hold {listed(names)}."
        )
    return asked or ("background" if classes[first] == "none" else "ignore")


def listed(names: Counter[str]) -> str:
    """Classes of annotations with how many outlines each."""
    return ", ".join(f"{name or 'no class'} ({count:,})" for name, count in names.most_common(20)) or "nothing"
