"""The slides that a person names: files and folders, each with a name of its own, opened at a resolution."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.base.errors import Problem
from pipeline.slides import flat, slide
from pipeline.slides.slide import Slide

SUFFIXES = slide.SUFFIXES | flat.SUFFIXES
OPTION = "--microns-per-pixel"


def find_slides(paths: Sequence[Path], out: Path) -> dict[str, Path]:
    """Every slide by its name, files as given and those in folders sorted; what lies in `out` is none.

    Raises:
        Problem: a path is not there, a folder has no slide, or two slides have one name.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise Problem(f"{path} is not there; give a slide or a folder of slides.")
        slides = sorted(_in_folder(path, out)) if path.is_dir() else [path]
        if not slides:
            raise Problem(f"{path} has no slide ({', '.join(sorted(SUFFIXES))}); give another folder.")
        for each in slides:
            name = name_of(each)
            if found.setdefault(name, each) != each:
                raise Problem(
                    f"{found[name]} and {each} would both be {name} in {out}; rename one, or take two folders."
                )
    return found


def name_of(path: Path) -> str:
    """What the results of a slide are called."""
    return path.stem.removesuffix(".ome")


def open_slide(path: Path, microns_per_pixel: float | None) -> Slide:
    """A slide at the resolution that is given, or that its file tells.

    Raises:
        Problem: it cannot be opened, or its resolution is not known.
    """
    return Slide(path, microns_per_pixel or flat.ome_resolution(path), OPTION, flat=True)


def _in_folder(folder: Path, out: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.resolve().is_relative_to(out.resolve())
    ]
