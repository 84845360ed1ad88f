"""The slides that a person names: files and folders, each with a name of its own, opened at a resolution.

And what the results of a slide are called, so that nobody takes one for the other.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.slides import flat, slide
from pipeline.slides.slide import Slide

SUFFIXES = slide.SUFFIXES | flat.SUFFIXES
OPTION = "--microns-per-pixel"
OME_TIFF, POINTS, NUCLEI = "ome.tif", "points.geojson", "nuclei.parquet"
KINDS = ("geojson", "geojson.gz", "csv", "png", OME_TIFF, POINTS, NUCLEI)  # what the names of results end in
STATE = ".lobule"  # the folder, beside results, of what is known of each slide
OWN = {"lock", "model"}  # files in it, so that no slide has these names


def find_slides(paths: Sequence[Path], out: Path) -> dict[str, Path]:
    """Every slide by its name, files as given and those in folders sorted; results of an earlier call are none.

    Raises:
        Problem: a path is not there, a folder has no slide, two slides have one name, or a slide has that of a result
            or of a file of this program's.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise Problem(f"{path} is not there; give a slide or a folder of slides.")
        slides = _in_folder(path) if path.is_dir() else [path]
        if not slides:
            raise Problem(f"{path} has no slide ({', '.join(sorted(SUFFIXES))}); give another folder.")
        for each in slides:
            name = name_of(each)
            if name in OWN:
                raise Problem(f"{each} has a name that `lobule apply` keeps for itself; rename it.")
            if found.setdefault(name, each) != each:
                raise Problem(
                    f"{found[name]} and {each} would both be {name} in {out}; rename one, or take two folders."
                )
            if each.resolve() in {result.resolve() for result in results_of(name, out)}:
                raise Problem(f"{each} would be overwritten by its own results; give an --out that is another folder.")
    return found


def name_of(path: Path) -> str:
    """What the results of a slide are called."""
    return path.stem.removesuffix(".ome")


def results_of(name: str, out: Path) -> list[Path]:
    """Every file that a call may write of a slide."""
    return [out / f"{name}.{kind}" for kind in KINDS]


def open_slide(path: Path, microns_per_pixel: float | None) -> Slide:
    """A slide at the resolution that is given, or that its file tells.

    Raises:
        Problem: it cannot be opened, or its resolution is not known.
    """
    return Slide(path, microns_per_pixel or flat.ome_resolution(path), OPTION, flat=True)


def _in_folder(folder: Path) -> list[Path]:
    pictures = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]
    results = [path for path in pictures if _is_result(path)]
    if results:
        print(f"{folder}: {len(results)} pictures in it are results of `lobule apply`, no slides.")
    return [path for path in pictures if path not in set(results)]


def _is_result(path: Path) -> bool:
    """Whether a call of `lobule apply` wrote a picture."""
    name = name_of(path)
    of_slide = (path.parent / STATE / name).is_dir() and path in results_of(name, path.parent)
    of_truth = path.parent.name == "truth" and (path.parent.parent / STATE).is_dir()
    return of_slide or of_truth or STATE in path.parts
