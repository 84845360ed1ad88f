"""What a file of COCO's instances and a folder of images hold."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from pipeline.base.errors import Problem
from pipeline.base.params import Coco, names_in
from pipeline.base.schema import parse
from pipeline.datasets.coco.instances import Instances, read_instances
from pipeline.datasets.coco.reader import Entry, entries, read_entry, reader
from pipeline.datasets.masks.pictures import size_of
from pipeline.own.asked import Asked, common_folder, patients_from
from pipeline.own.found import Found, refuse
from pipeline.own.legend import check_name, suggestion
from pipeline.own.plan import count_tiles, tile_size
from pipeline.own.sheet import look_at_some
from pipeline.own.understand import line_of_sizes, resolution

BACKGROUND = "background"


def understand(asked: Asked) -> Found:
    """Read the file, and the sizes of all images.

    Raises:
        Problem: something is missing, wrong, or may mean two things; it names the file or the option that tells.
    """
    if asked.legend or asked.ignore or asked.values or asked.nuclei:
        raise Problem("--legend, --ignore, --values and --nuclei are for masks; instances have categories.")
    folder, below = common_folder(images=asked.images, coco=asked.coco, patients=asked.patients)
    instances = read_instances(folder / below["coco"])
    given: dict[str, Any] = {
        "images": below["images"],
        "instances": below["coco"],
        "classes": classes_of(asked.classes, instances),
        "microns_per_pixel": asked.microns_per_pixel or 1.0,
        "tile_size": asked.tile_size or 256,
        "patient_table": below.get("patients", "none"),
        "patient_pattern": asked.patient_pattern or "none",
        "unpaired": "skip" if asked.skip_unpaired else "refuse",
    }
    settings = parse(Coco, given, "the command line")
    found = entries(folder, instances, settings)
    sizes = measure(found)
    microns, microns_from = resolution(asked.microns_per_pixel, found)
    size = asked.tile_size or tile_size(sizes)
    settings = settings.model_copy(update={"microns_per_pixel": microns, "tile_size": size})
    (part, *_) = reader(settings).parts(folder, found)
    return Found(
        kind="coco",
        words=f"instances of {', '.join(list(settings.classes)[1:])} in COCO's file",
        source=folder,
        settings=settings,
        classes=list(settings.classes),
        nuclei=True,
        tile_size=size,
        microns_per_pixel=microns,
        names=[entry.name for entry in found],
        tiles=[count_tiles([each], size) for each in sizes],
        patients=part.patients,
        patients_from=patients_from(asked),
        lines=[
            *_lines(settings, instances, found),
            line_of_sizes(sizes),
            f"resolution: {microns:g} µm/px, from {microns_from}",
        ],
        pictures=partial(look_at_some, found, partial(read_entry, settings)),
        largest=max(height * width for height, width in sizes),
    )


def classes_of(asked: Sequence[str], instances: Instances) -> dict[str, str]:
    """The classes, the background first, and what their categories are called.

    Without names that were asked for these are all categories, in the order of the file.

    Raises:
        Problem: there is none, or one that was asked for is none of the file.
    """
    if not instances.categories:
        raise Problem(f"{instances.path} has no category; add them, each with an id and a name.")
    if not asked:
        rest = [name for name in instances.categories if name.lower() != BACKGROUND]
        found = {BACKGROUND: "none"} | {suggestion(name): name for name in rest}
        if len(found) <= len(rest):
            raise Problem(f"{instances.path} has categories that are alike but for signs; rename one.")
        return found
    found = {}
    for place, name in enumerate(asked):
        check_name(name, "--classes")
        fitting = [each for each in instances.categories if name.lower() in (each.lower(), suggestion(each).lower())]
        if not fitting and place:
            held = ", ".join(f"{each} ({count:,})" for each, count in instances.counted().items())
            raise Problem(f"--classes names {name}, which is no category of {instances.path}; it has {held}.")
        found[name] = fitting[0] if fitting else "none"
    if len(found) < 2 or len(found) < len(asked):
        raise Problem("--classes is the background and at least one category, each once; correct it.")
    return found


def measure(found: Sequence[Entry]) -> list[tuple[int, int]]:
    """Height and width of each image; what cannot be read, and sizes that the file has otherwise, are told at once.

    Raises:
        Problem: naming each.
    """
    with ThreadPoolExecutor() as pool:
        sizes = list(pool.map(_size, found))
    refuse([str(size) for size in sizes if isinstance(size, Problem)], len(found), "images")
    return [size for size in sizes if not isinstance(size, Problem)]


def _size(entry: Entry) -> tuple[int, int] | Problem:
    try:
        height, width = size_of(entry.image)
    except Problem as problem:
        return problem
    listed = entry.listed
    if (height, width) == (listed.height, listed.width):
        return height, width
    return Problem(
        f"{entry.image} has {width} x {height} px, and {entry.file} says {listed.width} x {listed.height}; give the"
        " image that was annotated."
    )


def _lines(settings: Coco, instances: Instances, found: Sequence[Entry]) -> list[str]:
    """Images and classes, a line each."""
    counted = instances.counted()
    crowds = sum(each.crowd for image in instances.images for each in image.instances)
    empty = sum(not entry.listed.instances for entry in found)
    used = {each for text in settings.classes.values() for each in names_in(text)}
    left = [f"{name} ({count:,})" for name, count in counted.items() if name.lower() not in used]
    classes = [
        f"class {code}: {name}, "
        + (
            f"{sum(n for each, n in counted.items() if each.lower() in names_in(text)):,} instances"
            if code
            else "the rest"
        )
        for code, (name, text) in enumerate(settings.classes.items())
    ]
    return [
        f"images: {len(found):,} of {len(instances.images):,} that {settings.instances} lists; {empty:,} without"
        " instances",
        *classes,
        *([f"left out: categories {', '.join(left)}"] if left else []),
        *([f"counted nowhere: {crowds:,} crowds"] if crowds else []),
    ]
