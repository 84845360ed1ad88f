"""What stands in masks, and which of the known kinds that is; what may be two of them is asked for, never guessed."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from pipeline.base.errors import Problem
from pipeline.datasets.masks.arrays import is_dictionary, read_dictionary
from pipeline.datasets.masks.pairs import Pair
from pipeline.datasets.masks.pictures import read_colours, read_numbers
from pipeline.own.legend import Classes, by_order

LOOKED_AT = 200  # masks, evenly over all of them
MOST_CODES = 254  # classes; 255 is what counts nowhere
MANY = 40  # different values, more than anybody has classes
MOST_GREY = 255
MOST_COUNTED = 1 << 20  # values up to here are counted one by one, which is faster than sorting
SHOWN = 12  # values in a sentence
DICTIONARY = "NumPy dictionary"
FOREGROUND = "foreground"
ASK = "; say it with `--values codes` and `--classes` or `--legend`, or with `--values instances`"


@dataclass
class Seen:
    """What stands in some masks."""

    masks: int = 0
    forms: Counter[str] = field(default_factory=Counter)  # such as "PNG, indexed" -> masks
    pixels: Counter[int] = field(default_factory=Counter)  # value -> pixels
    coloured: int = 0  # masks with a colour that is not grey
    problems: dict[str, str] = field(default_factory=dict)  # name of a pair -> what is wrong with its mask

    @property
    def values(self) -> list[int]:
        return sorted(self.pixels)


@dataclass(frozen=True)
class Kind:
    """What masks hold: `values` as params.yaml has it, in words, and their classes."""

    values: str
    words: str
    classes: Classes


def look_at(pairs: Sequence[Pair], colours: bool = False) -> Seen:
    """Read masks, evenly spread over all of them; files that cannot be read are told, the others read all the same."""
    chosen = [pairs[place] for place in np.unique(np.linspace(0, len(pairs) - 1, LOOKED_AT).astype(int))]
    seen = Seen()
    with ThreadPoolExecutor() as pool:
        for pair, look in zip(chosen, pool.map(partial(_look, colours=colours), chosen), strict=True):
            if isinstance(look, Problem):
                seen.problems[pair.name] = str(look)
                continue
            form, coloured, pixels = look
            seen.masks += 1
            seen.forms[form] += 1
            seen.coloured += coloured
            seen.pixels.update(pixels)
    return seen


def _look(pair: Pair, colours: bool) -> tuple[str, bool, dict[int, int]] | Problem:
    """How a mask is stored, whether it shows a colour that is not grey, and the pixels of each of its values."""
    try:
        if pair.mask.name.suffix.lower() == ".npy" and is_dictionary(pair.mask):
            _, numbers = read_dictionary(pair.mask)
        else:
            numbers = read_colours(pair.mask) if colours else read_numbers(pair.mask)
    except Problem as problem:
        return problem
    form, in_colour = form_of(pair)
    largest = int(numbers.max(initial=0))
    if largest <= MOST_COUNTED:
        counts = np.bincount(numbers.ravel())
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(numbers, return_counts=True)
    coloured = in_colour and largest > MOST_GREY  # what is grey is read as such
    return form, coloured, dict(zip(values.tolist(), counts.tolist(), strict=True))


def form_of(pair: Pair) -> tuple[str, bool]:
    """How a mask that can be read is stored, in words, and whether it could show colours."""
    if pair.mask.name.suffix.lower() == ".npy":
        return DICTIONARY if is_dictionary(pair.mask) else "NumPy array", False
    from PIL import Image

    with Image.open(pair.mask.path) as picture:
        mode = picture.mode
        words = {"P": "indexed", "L": "8 bit", "1": "1 bit", "F": "floating point"}.get(mode, mode)
        if mode.startswith("I"):
            words = "16 bit" if ";16" in mode else "32 bit"
        return f"{picture.format}, {words}", mode in {"RGB", "RGBA"}


def kind_of(
    seen: Seen, values: str | None, legend: Classes | None, names: Sequence[str], beside: str, ignored: set[int]
) -> Kind:
    """Which kind masks are of.

    Args:
        values: what the person says that they are, None where nothing was said.
        legend: the classes of a legend file, None where there is none.
        names: of classes, in the order of their codes; none where none were given.
        beside: what lies beside with the classes of nuclei, "map" or "table"; empty where nothing does.
        ignored: values that count nowhere.

    Raises:
        Problem: they may be of several kinds, or the classes have no names; it says which option tells.
    """
    found = [value for value in seen.values if value not in ignored]
    told = legend if legend is not None else by_order(names) if names else None
    if legend and any(isinstance(value, str) and value.startswith("#") for value in legend.values()):
        return Kind(values or "colours", "a colour for each class, by the legend", legend)
    if seen.forms[DICTIONARY]:
        return _dictionaries(seen, found, told)
    if values == "colours":
        raise Problem(f"the masks hold {_colours(found)}, and nothing names them; give `--legend FILE`.")
    if values is None and seen.coloured:
        raise Problem(
            f"{seen.coloured:,} of {seen.masks:,} masks are coloured ({_colours(found)}), which may be classes or"
            " nuclei; give `--legend FILE` with a line `#rrggbb,name` for each, or `--values instances`."
        )
    if values == "instances" or (values is None and _only_ids(found)):
        return _instances(told, beside)
    if beside:
        option = "--class-maps" if beside == "map" else "--class-table"
        raise Problem(f"{option} is for nuclei, and the masks hold the values {_list(found)}{ASK}.")
    if legend is not None:
        return Kind("codes", "a code for each class, by the legend", legend)
    if len(found) == 2 and found[0] == 0 and len(names) in (0, 1, 2):
        return _binary(found[1], names)
    if told is None:
        raise Problem(
            f"the masks hold the values {_list(found)}, which may be classes, or nuclei without classes{ASK}."
        )
    if strange := [value for value in found if value >= len(told)]:
        raise Problem(
            f"--classes names {len(told)} classes, whose codes are 0 to {len(told) - 1}, and the masks hold"
            f" {_list(strange)}, too; name all, give a `--legend FILE`, or say what counts nowhere with `--ignore`."
        )
    return Kind("codes", "a code for each class, in the order of the names", told)


def _only_ids(values: Sequence[int]) -> bool:
    """Whether values can be nothing but numbers of nuclei: no more classes fit into a class map, or anyone's head."""
    return bool(values) and ((max(values) > MOST_CODES and len(values) > 2) or len(values) > MANY)


def _instances(told: Classes | None, beside: str) -> Kind:
    if beside and told is None:
        raise Problem(f"the {beside} beside holds codes of classes that nothing names; give `--classes` or `--legend`.")
    if not beside and told is not None and len(told) > 2:
        raise Problem(
            "the masks hold a number for each nucleus, which tells no class, and several classes were named; give the"
            " folder with the classes' codes as `--class-maps`, a table of them as `--class-table`, or name one class"
            " beside the background."
        )
    where = f", its class in a {beside} beside" if beside else ", all of one class"
    return Kind("instances", f"a number for each nucleus{where}", told or by_order(["background", "nucleus"]))


def _dictionaries(seen: Seen, found: Sequence[int], told: Classes | None) -> Kind:
    if seen.forms[DICTIONARY] < seen.masks:
        raise Problem("some masks are dictionaries of NumPy and some are not; give a folder with masks of one kind.")
    if told is None:
        raise Problem(
            f"the masks are dictionaries whose classes are {_list(found)}, and nothing names them; give `--classes` or"
            " `--legend`."
        )
    return Kind("dictionaries", "a number and a class for each nucleus", told)


def _binary(value: int, names: Sequence[str]) -> Kind:
    named = ["background", *names] if len(names) < 2 else list(names)
    named += [FOREGROUND] if len(named) < 2 else []
    return Kind("codes", f"binary, 0 and {value}", {named[0]: 0, named[1]: value})


def _list(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:SHOWN])) + (f", ... ({len(values):,} in all)" if len(values) > SHOWN else "")


def _colours(values: Sequence[int]) -> str:
    named = [f"#{value:06x}" for value in values[:SHOWN]]
    return f"{len(values):,} colours, {', '.join(named)}" + (", ..." if len(values) > SHOWN else "")
