"""What a person says of a truth on the command line: where it lies, what it means, whose the slides are."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import Problem

IGNORE = "ignore"  # in place of a class: what counts nowhere
NEEDS = ("classes", "legend", "values", "ignore", "class_maps", "nuclei", "region_class", "patients", "patient_pattern")


@dataclass(frozen=True)
class Asked:
    """What a person said of a truth."""

    folder: Path
    classes: Mapping[str, str]  # name in the truth, in lower case -> class of the model, or IGNORE
    region_class: str | None  # of outlines within which everything was annotated
    values: str | None  # of masks: codes, colours or instances
    legend: Path | None
    ignore: str | None  # values of masks that count nowhere
    class_maps: Path | None
    nuclei: bool  # whether every connected piece of a mask is a nucleus
    patients: Path | None
    patient_pattern: str | None
    trained_on: str  # what becomes of slides that a model has seen: refuse, mark or leave-out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a truth; those that `lobule new` has, too, mean the same."""
    add = parser.add_argument_group("does it hold on my slides?").add_argument
    add("--truth", metavar="DIR", type=Path, help="outlines (QuPath, ASAP, ImageScope) or masks: scores in truth.md")
    add("--class", dest="classes", metavar="MINE=THEIRS", action="append", help="the truth's name of a model's class")
    add("--region-class", metavar="NAME", help="of outlines within which all was annotated; the rest is ignored")
    add(
        "--values", choices=("codes", "colours", "instances"), help="of masks: class codes, colours, a number a nucleus"
    )
    add("--legend", metavar="FILE", type=Path, help="of masks: lines `value,name`, a value being a code or a colour")
    add("--ignore", metavar="VALUES", help="of masks: values that count nowhere, such as 255")
    add("--class-maps", metavar="DIR", type=Path, help="of masks: class codes beside nuclei that are numbered")
    add("--nuclei", action="store_true", help="of masks: every connected piece of a class is a nucleus")
    add("--patients", metavar="TABLE", type=Path, help="a .csv or .xlsx with the columns image and patient")
    add("--patient-pattern", metavar="REGEX", help="its first group is the patient in a slide's name")
    add(
        "--trained-on",
        choices=("refuse", "mark", "leave-out"),
        default="refuse",
        help="what becomes of slides that a model was trained on (%(default)s)",
    )


def asked(arguments: argparse.Namespace) -> Asked | None:
    """What was said of a truth; None where there is none.

    Raises:
        Problem: an option makes no sense, or is of a truth that was not given.
    """
    if arguments.truth is None:
        if given := [name for name in NEEDS if getattr(arguments, name)]:
            option = {"classes": "class"}.get(given[0], given[0]).replace("_", "-")
            raise Problem(f"--{option} says what a truth means; give --truth DIR, too, or leave it out.")
        return None
    if arguments.patients and arguments.patient_pattern:
        raise Problem("--patients and --patient-pattern both tell the patient; give one of them.")
    for name, is_there in (("truth", Path.is_dir), ("class_maps", Path.is_dir), ("legend", Path.is_file)):
        path = getattr(arguments, name)
        if path is not None and not is_there(path):
            raise Problem(f"--{name.replace('_', '-')} is {path}, which is not there; give another path.")
        if path is not None and path.resolve().is_relative_to((arguments.out / "truth").resolve()):
            raise Problem(f"--{name.replace('_', '-')} is {path}, where the comparison is written; give another --out.")
    classes: dict[str, str] = {}
    for text in arguments.classes or []:
        mine, equals, theirs = (part.strip() for part in text.partition("="))
        if not (mine and equals and theirs):
            raise Problem(f"--class is {text!r}; give the model's class and the truth's, such as tumour=Tumor.")
        if classes.setdefault(theirs.lower(), mine) != mine:
            raise Problem(f"--class gives {theirs} two classes, {classes[theirs.lower()]} and {mine}; leave one out.")
    return Asked(
        folder=arguments.truth,
        classes=classes,
        **{name: getattr(arguments, name) for name in (*NEEDS[1:], "trained_on")},
    )
