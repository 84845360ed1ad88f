"""A study of your own images and masks: `lobule new mine --images photos --masks labels --microns-per-pixel 0.5`.

It says what it understood, draws a contact sheet, and writes studies/<name>/ and what params.yaml and dvc.yaml say of
it; then `dvc repro studies/<name>/dvc.yaml` does the rest. It changes nothing of the data. Run again it shows what
would change and asks. `lobule new other --like mine` makes a study with the settings and the data of another one.
"""

import argparse
import sys

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.base.paths import REPORTS
from pipeline.base.study import STUDIES, study_names
from pipeline.models.encoders import check_encoder
from pipeline.own import writing
from pipeline.own.like import like
from pipeline.own.study import compose
from pipeline.own.tell import draw, tell
from pipeline.own.understand import Asked, understand

ENCODERS = "resnet18,efficientnet-b0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of the study and its data set: letters, digits, - and _")
    add = parser.add_argument_group("data").add_argument
    add("--images", metavar="DIR", help="PNG, JPEG, TIFF (8 or 16 bit), BMP")
    add("--masks", metavar="DIR", help="PNG, TIFF, BMP or .npy; the same folder where names tell them apart")
    add("--mask-name", metavar="RULE", help="what the mask of image {} is called, such as {}_mask (default: found out)")
    add("--skip-unpaired", action="store_true", help="leave out images without a mask, and masks without an image")
    add = parser.add_argument_group("what masks mean").add_argument
    add("--values", choices=("codes", "colours", "instances"), help="class codes, class colours, a number a nucleus")
    add("--classes", metavar="A,B,...", help="names of the classes in the order of their codes, the background first")
    add("--legend", metavar="FILE", help="lines `value,name`, a value being a code or a colour (#ff0000); or JSON")
    add("--class-maps", metavar="DIR", help="class codes beside nuclei that are numbered")
    add("--ignore", metavar="VALUES", help="values that count nowhere, such as 255")
    add("--nuclei", action="store_true", help="every connected piece of a class is a nucleus")
    add = parser.add_argument_group("images").add_argument
    add("--microns-per-pixel", type=float, metavar="N", help="0.25 at 40x, 0.5 at 20x (default: what TIFF tags tell)")
    add("--tile", type=int, metavar="PX", help="side of the tiles that images are cut into (default: what fits them)")
    add("--patients", metavar="TABLE", action="append", help="a .csv or .xlsx with the columns image and patient")
    add("--patient-pattern", metavar="REGEX", help="its first group is the patient in an image's name")
    add = parser.add_argument_group("study").add_argument
    add("--like", metavar="STUDY", help="with the data and settings of this one")
    add("--encoders", metavar="A,B,...", help=f"that are compared (default: {ENCODERS})")
    add("--weights", help="random, imagenet, or the path of a checkpoint (default: random)")
    add("--epochs", type=int, help="of each training, at most (default: 30)")
    add("--yes", action="store_true", help="write over what is there without asking")


def run(arguments: argparse.Namespace) -> None:
    name = arguments.name
    check_name(name)
    encoders = (arguments.encoders or ENCODERS).split(",")
    for encoder in encoders:
        check_encoder(encoder, "--encoders")
    if arguments.like:
        if arguments.images or arguments.masks:
            raise Problem("--like takes the data of the other study; leave --images and --masks out, or leave it out.")
        texts = like(name, arguments.like, arguments.encoders and encoders, arguments.weights, arguments.epochs)
    else:
        understood = understand(asked(arguments))
        plan = compose(name, understood, encoders, arguments.weights or "random", arguments.epochs or 30)
        tell(understood, plan, arguments.weights or "random")
        sheet = REPORTS / "private" / f"{name}.look.png"
        draw(sheet, understood)
        print(f"look at it: {sheet}")
        texts = plan.texts
    write(texts, arguments.yes)
    print(f"Now: dvc repro {STUDIES / name}/dvc.yaml")


def check_name(name: str) -> None:
    """Refuse a name that paths or DVC cannot take, or that something else has.

    Raises:
        Problem: saying which.
    """
    from pipeline import datasets

    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or not name[0].isalnum():
        raise Problem(f"{name!r} is no name for a study; give one of letters, digits, - and _.")
    if name in {*datasets.names(), *datasets.kinds()}:
        raise Problem(f"{name} is the name of a data set that Lobule knows; give yours another.")
    if name in study_names() and (STUDIES / name / "paper/paper.yaml").exists():
        raise Problem(f"{name} is a study that rebuilds a paper; give yours another name.")
    params = read_params()
    if name in params.datasets and name not in params.own:
        raise Problem(f"params.yaml has a data set {name} that is none of your own; give yours another name.")


def asked(arguments: argparse.Namespace) -> Asked:
    """What was given, as the data are asked for.

    Raises:
        Problem: something is missing, or given twice.
    """
    for key in ("images", "masks"):
        if not getattr(arguments, key):
            raise Problem(f"--{key} is missing; give the folder with your {key}, or --like and a study.")
    tables = arguments.patients or []
    if len(tables) + bool(arguments.patient_pattern) > 1:
        given = " and ".join([*tables, *([arguments.patient_pattern] if arguments.patient_pattern else [])])
        raise Problem(f"{given} both tell the patients; give one table, or one pattern.")
    if arguments.classes and arguments.legend:
        raise Problem("--classes and --legend both name the classes; give one of them.")
    return Asked(
        name=arguments.name,
        images=arguments.images,
        masks=arguments.masks,
        class_maps=arguments.class_maps,
        mask_name=arguments.mask_name,
        values=arguments.values,
        classes=tuple(name.strip() for name in (arguments.classes or "").split(",") if name.strip()),
        legend=arguments.legend,
        ignore=arguments.ignore,
        nuclei=arguments.nuclei,
        microns_per_pixel=arguments.microns_per_pixel,
        tile_size=arguments.tile,
        patients=tables[0] if tables else None,
        patient_pattern=arguments.patient_pattern,
        skip_unpaired=arguments.skip_unpaired,
    )


def write(texts: writing.Texts, yes: bool) -> None:
    """Write the study; where that changes a file of it, show the difference and ask.

    Raises:
        Problem: nobody can be asked, or the answer was no.
    """
    study_changes = writing.changes({path: text for path, text in texts.items() if path.is_relative_to(STUDIES)})
    difference = writing.changes(texts)
    if study_changes and not yes:
        print(difference)
        if not sys.stdin.isatty():
            raise Problem("the study is there already and would change as shown; give --yes to write it.")
        if input("Write this? [y/N] ").strip().lower() not in {"y", "yes"}:
            raise Problem("nothing was written.")
    elif not difference and all(path.exists() for path in texts):
        print("The study is there already, and nothing of it changes.")
    writing.write(texts)
