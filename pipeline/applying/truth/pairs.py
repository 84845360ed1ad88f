"""Which annotation is of which slide: by their names, as `lobule new` pairs them, every file accounted for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.base.errors import Problem
from pipeline.datasets.discovery import File, look
from pipeline.datasets.masks.pairs import LABELS, name_of, rule_of
from pipeline.datasets.slides.reader import ANNOTATIONS


@dataclass(frozen=True)
class Annotation:
    """What a person annotated on a slide."""

    name: str  # of the slide
    slide: Path
    path: Path
    classes: Path | None = None  # codes of the classes of numbered nuclei

    @property
    def outlined(self) -> bool:
        """Whether these are outlines, else a mask."""
        return self.path.suffix.lower() in ANNOTATIONS


@dataclass(frozen=True)
class Pairs:
    """Slides with their annotation, and why others have none."""

    used: dict[str, Annotation]
    without: dict[str, str]  # slide -> why it has no annotation
    alone: dict[str, str]  # annotation, as it is called -> why it has no slide
    files: int  # annotations that were found
    rule: str  # how masks are called that have no slide's name, `{}` being the slide's; "{}" where there are none


def pair(slides: Mapping[str, Path], folder: Path, class_maps: Path | None, out: Path) -> Pairs:
    """Pair slides with the outlines and masks in a folder; what is used of it is printed.

    Args:
        slides: files by name.
        class_maps: where codes of the classes of numbered nuclei lie.
        out: where results go; what lies there is no truth.

    Raises:
        Problem: no annotation is of a slide.
    """
    survey = look(folder)
    named = {_bare(path.name): name for name, path in slides.items()}
    inputs = {path.resolve() for path in slides.values()}
    maps = {} if class_maps is None else {_bare(file.name.name): file.path for file in look(class_maps).files}
    apart = [out, *([] if class_maps is None or class_maps.resolve() == folder.resolve() else [class_maps])]
    candidates = [
        file
        for file in survey.files
        if file.name.suffix.lower() in ANNOTATIONS | LABELS
        and file.path.resolve() not in inputs
        and not any(file.path.resolve().is_relative_to(place.resolve()) for place in apart)
    ]
    found, rule = _by_slide(candidates, named)
    if rule != "{}":
        print(f"{folder}: masks are called as their slides, {rule!r} being the rule that most follow")
    used, without = {}, {}
    for name, slide in slides.items():
        files = found.get(name, [])
        if len(files) > 1:
            without[name] = f"{files[0]} and {files[1]} are both its annotation; move one of them away"
        elif not files:
            without[name] = f"no outlines and no mask of its name lie in {folder}"
        else:
            used[name] = Annotation(name, slide, files[0].path, maps.get(_bare(slide.name)))
    taken = {file.path for files in found.values() for file in files}
    alone = [file for file in candidates if file.path not in taken]
    survey.tell([file for file in candidates if file.path in taken], {"without a slide": alone})
    for name, why in without.items():
        print(f"{name}: not compared, since {why}")
    if not used:
        first = next(iter(slides))
        raise Problem(
            f"{folder} holds no annotation of any of {len(slides)} slide(s); call that of {slides[first].name}"
            f" {first}.geojson, .xml or, where it is a mask, .png."
        )
    reason = "no slide of its name was given"
    return Pairs(used, without, {str(file.name): reason for file in alone}, len(candidates), rule)


def _by_slide(candidates: list[File], named: Mapping[str, str]) -> tuple[dict[str, list[File]], str]:
    """Annotations by slide; masks that have no slide's name may have it with something around it: one_mask.png.

    And the rule by which these are called. What is around it is parted from it: 101.png is of no slide called 01.
    """
    found: dict[str, list[File]] = {}
    rest = []
    for file in candidates:
        if (name := named.get(_bare(file.name.name))) is not None:
            found.setdefault(name, []).append(file)
        elif file.name.suffix.lower() in LABELS:
            rest.append(file)
    bases = {bare for bare, name in named.items() if name not in found}
    rule = rule_of(bases, [_bare(file.name.name) for file in rest])
    before, _, after = rule.partition("{}")
    if before[-1:].isalnum() or after[:1].isalnum():
        rule = "{}"
    for file in rest:
        bare = name_of(PurePosixPath(file.name.name.lower()), rule)
        if bare in bases:
            found.setdefault(named[bare], []).append(file)
    return found, rule


def _bare(name: str) -> str:
    """What a slide, its outlines and its mask have in common, in lower case."""
    return (name_of(PurePosixPath(name)) or name).lower()
