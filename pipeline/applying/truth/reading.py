"""The annotations of a call: what their classes are, and each as maps of its slide."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pipeline.applying.truth.asked import Asked
from pipeline.applying.truth.classes import correspond
from pipeline.applying.truth.maps import Maps, Outlines, Pixels
from pipeline.applying.truth.pairs import Annotation
from pipeline.base.errors import Problem
from pipeline.base.params import Masks
from pipeline.base.schema import parse
from pipeline.datasets.masks.meaning import Meaning, classes_of, values_of
from pipeline.datasets.masks.pairs import Pair
from pipeline.datasets.members import Member
from pipeline.metrics.pixel import BACKGROUND
from pipeline.own.legend import read_legend
from pipeline.own.outline_classes import region_of
from pipeline.own.values import kind_of, look_at
from pipeline.slides.annotations import REGION, class_names, family, features_of, read_annotations
from pipeline.slides.slide import Slide
from pipeline.tiles.store import IGNORE


@dataclass(frozen=True)
class Truths:
    """How the annotations of a call are read."""

    codes: Mapping[str, int]  # of outlines, by their names in lower case
    elsewhere: int  # what lies in no outline
    masks: Meaning | None
    mask_codes: Sequence[int]  # the model's, by the masks' codes
    failed: Mapping[str, str]  # slide -> why its annotation cannot be read
    words: list[str] = field(default_factory=list)  # what was understood, a sentence each

    def parts_nuclei(self, each: Annotation) -> bool:
        """Whether an annotation tells nuclei apart."""
        return each.outlined or (self.masks is not None and self.masks.settings.nuclei)

    def load(self, each: Annotation, slide: Slide) -> tuple[Maps, list[str]]:
        """An annotation as maps of its slide, and a clause on each thing that is not used of it.

        Raises:
            Problem: it cannot be read, or is of another slide.
        """
        if each.outlined:
            found = read_annotations(each.path, self.codes, self.elsewhere)
            found.check_place(slide.width, slide.height)
            return Outlines.annotated(found), found.notes()
        assert self.masks is not None
        return _read_mask(each, slide, self.masks, np.array([*self.mask_codes], np.uint8)), []


def understand(
    annotations: Mapping[str, Annotation], classes: Sequence[str], ignored: Sequence[str], asked: Asked
) -> Truths:
    """Look at the names of all outlines, and at the values of up to some hundreds of masks.

    Args:
        classes: of the model, in the order of their codes.
        ignored: those that count nowhere.

    Raises:
        Problem: their classes are not the model's, or nobody knows what they mean.
    """
    names, failed = Counter[str](), {}
    for name, each in annotations.items():
        if each.outlined:
            try:
                names.update(_names(each.path))
            except Problem as problem:
                failed[name] = str(problem)
    outlined = [each for name, each in annotations.items() if each.outlined and name not in failed]
    masks = [each for each in annotations.values() if not each.outlined]
    region = region_of(asked.region_class, names) if outlined else None
    of_areas = Counter({name: count for name, count in names.items() if name != region})
    codes = correspond(of_areas, classes, ignored, asked.classes) if outlined else {}
    # Where the background is outlined itself, or the model knows none, nobody knows what lies in no outline.
    elsewhere = 0 if classes[0] == BACKGROUND and 0 not in codes.values() else IGNORE
    words = []
    if outlined:
        rest = "background" if elsewhere == 0 else "counted nowhere"
        around = "" if region is None else f"; what lies outside of {region} is counted nowhere"
        words.append(f"What lies in no outline is {rest}{around}.")
    if region is not None:
        codes[region.lower()] = REGION
    meaning, mask_codes = _of_masks(masks, classes, ignored, asked) if masks else (None, [])
    if meaning is not None:
        words.append(f"Masks hold {meaning.settings.values} of {', '.join(meaning.settings.classes)}.")
    return Truths(codes, elsewhere, meaning, mask_codes, failed, words)


def _names(path: Path) -> Counter[str]:
    """How many outlines have each class; "" is none."""
    found: Counter[str] = Counter()
    for feature in features_of(path):
        try:
            found.update(next(iter(class_names(one)), "").strip() for one in family(feature))
        except (ValueError, TypeError, AttributeError) as error:
            raise Problem(f"{path} cannot be read ({error}); export it again.") from None
    return found


def _of_masks(
    masks: Sequence[Annotation], classes: Sequence[str], ignored: Sequence[str], asked: Asked
) -> tuple[Meaning, list[int]]:
    """How masks are read, and the model's code of each of their classes."""
    legend = None if asked.legend is None else read_legend(asked.legend)
    coloured = legend is not None and any(str(value).startswith("#") for value in legend.values())
    pairs = [_pair(each) for each in masks]
    seen = look_at(pairs, colours=asked.values == "colours" or (coloured and asked.values is None))
    if not seen.masks:
        raise Problem(next(iter(seen.problems.values())))
    try:
        uncounted = {*values_of(asked.ignore)} if asked.ignore else set()
    except ValueError:
        raise Problem(f"--ignore is {asked.ignore!r}; give codes such as 255, or colours such as #000000.") from None
    beside = any(each.classes for each in masks)
    try:
        kind = kind_of(seen, asked.values, legend, () if legend else classes, "map" if beside else "", uncounted)
    except Problem as problem:
        known = f" Here the classes are the model's, {', '.join(classes)}; --legend FILE gives masks others."
        raise Problem(f"{problem}{'' if legend else known}") from None
    given: dict[str, Any] = {
        "images": ".",
        "masks": ".",
        "mask_name": "{}",
        "values": kind.values,
        "class_maps": "." if beside else "none",
        "class_table": "none",
        "classes": kind.classes,
        "ignore": asked.ignore or "none",
        "pieces": asked.nuclei,
        "microns_per_pixel": 1.0,
        "tile_size": 256,
        "patient_table": "none",
        "patient_pattern": "none",
        "unpaired": "skip",
    }
    meant = correspond(Counter(dict.fromkeys(kind.classes, 1)), classes, ignored, asked.classes)
    return Meaning(parse(Masks, given, "the command line")), [meant[name.lower()] for name in kind.classes]


def _pair(each: Annotation) -> Pair:
    members = [None if path is None else Member(path, PurePosixPath(path.name)) for path in (each.path, each.classes)]
    assert members[0] is not None
    return Pair(each.name, Member(each.slide, PurePosixPath(each.slide.name)), members[0], members[1])


def _read_mask(each: Annotation, slide: Slide, meaning: Meaning, codes: Any) -> Pixels:
    """A mask, which has the size of the slide's full resolution, in the model's codes.

    Raises:
        Problem: it cannot be read, a value has no meaning, or it is of another size than the slide.
    """
    pair = _pair(each)
    lookup = np.full(IGNORE + 1, IGNORE, np.uint8)
    lookup[: len(codes)] = codes
    class_map, instance_map, _ = meaning.labels(pair, (slide.height, slide.width), "slide")
    class_map = lookup[class_map]
    instance_map[class_map == IGNORE] = 0
    return Pixels(class_map, instance_map, classes_of(instance_map, class_map, pair.mask))
