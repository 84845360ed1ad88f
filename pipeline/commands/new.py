"""A study of your own data: `lobule new mine --images photos --masks labels --microns-per-pixel 0.5`.

Or `--slides DIR`, whole slides with outlines on them; `--coco FILE --images DIR`; `--pannuke DIR`.

It says what it understood, draws a contact sheet, and writes studies/<name>/ and what params.yaml and dvc.yaml say of
it; then `dvc repro studies/<name>/dvc.yaml` does the rest. It changes nothing of the data. Run again it shows what
would change and asks. `lobule new other --like mine` makes a study with the settings and the data of another one;
`--like mine --like yours` takes the data of both, `--like mine --test-on yours` trains on one and tests on the other.
"""

import argparse
import sys
from collections.abc import Sequence

from ruamel.yaml import YAML

from pipeline.base.errors import Problem
from pipeline.base.params import read_params
from pipeline.base.paths import REPORTS
from pipeline.base.study import STUDIES, parse_study, study_names
from pipeline.models.encoders import check_encoder
from pipeline.own import coco, folds, several, slides, understand, writing
from pipeline.own.asked import Asked
from pipeline.own.like import like
from pipeline.own.sheet import draw_sheet
from pipeline.own.study import compose
from pipeline.own.tell import tell
from pipeline.own.variants import read_weights

ENCODERS = "resnet18,efficientnet-b0"
TAKEN = {"private", "readme"}  # beside the studies' reports, on a disk to which capitals may be the same
LARGEST = 100.0  # µm/px, at which a pixel holds several cells
KINDS = {  # what is given of data: options of one kind -> how that is understood
    ("images", "masks"): understand.understand,
    ("slides",): slides.understand,
    ("coco", "images"): coco.understand,
    ("pannuke",): folds.understand,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of the study and its data set: letters, digits, - and _")
    add = parser.add_argument_group("data").add_argument
    add("--images", metavar="DIR", help="PNG, JPEG, TIFF (8 or 16 bit), BMP")
    add("--masks", metavar="DIR", help="PNG, TIFF, BMP or .npy; the same folder where names tell them apart")
    add("--mask-name", metavar="RULE", help="what the mask of image {} is called, such as {}_mask (default: found out)")
    add("--skip-unpaired", action="store_true", help="leave out images without a mask, and masks without an image")
    add("--slides", metavar="DIR", help="whole slides, and GeoJSON of QuPath, XML of ASAP or ImageScope beside them")
    add("--annotations", metavar="DIR", help="where the slides' annotations lie (default: beside the slides)")
    add("--coco", metavar="FILE", help="JSON of the instances in --images: polygons, or runs of pixels")
    add("--pannuke", metavar="DIR", help="folds of images.npy, masks.npy and types.npy")
    add = parser.add_argument_group("what outlines mean").add_argument
    add("--not-outlined", choices=("background", "ignore"), help="what lies in no outline: background, or not known")
    add("--region-class", metavar="NAME", help="of outlines within which everything was annotated; the rest is ignored")
    add = parser.add_argument_group("what masks mean").add_argument
    add("--values", choices=("codes", "colours", "instances"), help="class codes, class colours, a number a nucleus")
    add("--classes", metavar="A,B,...", help="names of the classes in the order of their codes, the background first")
    add("--legend", metavar="FILE", help="lines `value,name`, a value being a code or a colour (#ff0000); or JSON")
    add("--class-maps", metavar="DIR", help="class codes beside nuclei that are numbered")
    add("--class-table", metavar="FILE", help="a .csv or .xlsx instead: columns image, id (of a nucleus) and class")
    add("--ignore", metavar="VALUES", help="values that count nowhere, such as 255")
    add("--nuclei", action="store_true", help="every connected piece of a class is a nucleus")
    add = parser.add_argument_group("images").add_argument
    add("--microns-per-pixel", type=float, metavar="N", help="0.25 at 40x, 0.5 at 20x (default: what TIFF tags tell)")
    add("--at", type=float, metavar="N", help="µm/px of the tiles of slides (default: 0.5, or what they have)")
    add("--tile", type=int, metavar="PX", help="side of the tiles that images are cut into (default: what fits them)")
    add("--patients", metavar="TABLE", action="append", help="a .csv or .xlsx with the columns image and patient")
    add("--patient-pattern", metavar="REGEX", help="its first group is the patient in an image's name")
    add = parser.add_argument_group("study").add_argument
    add("--like", metavar="STUDY", action="append", help="with its data and settings; given twice: the data of both")
    add("--test-on", metavar="DATASET", help="with --like: train on the data of that study, test on this data set")
    add("--encoders", metavar="A,B,...", help=f"that are compared (default: {ENCODERS})")
    what = "first ones: random, imagenet, or the path of a checkpoint; given again, all are compared"
    add("--weights", metavar="[NAME=]WEIGHTS", action="append", help=f"{what} (default: random)")
    add("--epochs", type=int, help="of each training, at most (default: 30)")
    add("--yes", action="store_true", help="write over what is there without asking")


def run(arguments: argparse.Namespace) -> None:
    name = arguments.name
    check_name(name)
    encoders = (arguments.encoders or ENCODERS).split(",")
    check_settings(arguments, encoders)
    weights = read_weights(arguments.weights or ["random"])
    if arguments.like:
        if given := given_of(arguments):
            raise Problem(f"--like takes the data of the other study; leave {listed(given)} out, or leave it out.")
        texts = like(
            name,
            arguments.like,
            arguments.encoders and encoders,
            arguments.weights and weights,
            arguments.epochs,
            arguments.test_on,
        )
        if len(arguments.like) > 1 or arguments.test_on:
            path = STUDIES / name / "params.yaml"
            print("\n".join(several.lines(parse_study(YAML(typ="safe").load(texts[path]), path))))
    elif arguments.test_on:
        raise Problem("--test-on goes with --like, which says what trains; give that, too.")
    else:
        found = KINDS[kind_of(arguments)](asked(arguments))
        plan = compose(name, found, encoders, weights, arguments.epochs or 30)
        tell(found, plan)
        sheet = REPORTS / "private" / f"{name}.look.png"
        draw_sheet(sheet, found.pictures(), found.classes)
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
    if name.lower() in TAKEN:
        raise Problem(f"reports/ has something else that is called {name}; give your study another name.")
    if name in {*datasets.names(), *datasets.kinds()}:
        raise Problem(f"{name} is the name of a data set that Lobule knows; give yours another.")
    if name in study_names() and (STUDIES / name / "paper/paper.yaml").exists():
        raise Problem(f"{name} is a study that rebuilds a paper; give yours another name.")
    params = read_params()
    if name in params.datasets and name not in params.own:
        raise Problem(f"params.yaml has a data set {name} that is none of your own; give yours another name.")


def check_settings(arguments: argparse.Namespace, encoders: Sequence[str]) -> None:
    """Refuse settings of the study that make no sense, before the data are looked at.

    Raises:
        Problem: naming the option.
    """
    for encoder in encoders:
        check_encoder(encoder, "--encoders")
    if twice := next((encoder for encoder in encoders if encoders.count(encoder) > 1), None):
        raise Problem(f"--encoders names {twice} twice; name each once.")
    if arguments.epochs is not None and arguments.epochs < 1:
        raise Problem(f"--epochs is {arguments.epochs} and should be at least 1.")
    for option in ("microns_per_pixel", "at"):
        value = getattr(arguments, option)
        if value is not None and not 0 < value < LARGEST:
            raise Problem(f"--{option.replace('_', '-')} is {value:g} and should be above 0 and below {LARGEST:g} µm.")


def given_of(arguments: argparse.Namespace) -> list[str]:
    """The options of data that were given."""
    return [key for key in ("images", "masks", "slides", "coco", "pannuke") if getattr(arguments, key)]


def listed(options: Sequence[str]) -> str:
    """Options as a sentence names them."""
    return " and ".join(f"--{option}" for option in options)


def kind_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The options of data, if together they are a kind of it.

    Raises:
        Problem: one is missing, or there are too many.
    """
    given = given_of(arguments)
    if kind := next((kind for kind in KINDS if sorted(kind) == sorted(given)), None):
        return kind
    for kind in KINDS:
        if given and {*given} < {*kind}:
            missing = next(key for key in kind if key not in given)
            raise Problem(f"--{missing} is missing beside {listed(given)}; give it, too.")
    kinds = ", or ".join(map(listed, KINDS))
    raise Problem(f"the data are {listed(given) or 'not given'}; give {kinds}, or --like and a study.")


def asked(arguments: argparse.Namespace) -> Asked:
    """What was given, as the data are asked for.

    Raises:
        Problem: something is missing, or given twice.
    """
    tables = arguments.patients or []
    if len(tables) + bool(arguments.patient_pattern) > 1:
        given = " and ".join([*tables, *([arguments.patient_pattern] if arguments.patient_pattern else [])])
        raise Problem(f"{given} both tell the patients; give one table, or one pattern.")
    if arguments.classes and arguments.legend:
        raise Problem("--classes and --legend both name the classes; give one of them.")
    if arguments.class_maps and arguments.class_table:
        raise Problem("--class-maps and --class-table both tell the classes of nuclei; give one of them.")
    return Asked(
        images=arguments.images,
        masks=arguments.masks,
        slides=arguments.slides,
        annotations=arguments.annotations,
        coco=arguments.coco,
        pannuke=arguments.pannuke,
        class_maps=arguments.class_maps,
        class_table=arguments.class_table,
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
        not_outlined=arguments.not_outlined,
        region_class=arguments.region_class,
        at=arguments.at,
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
