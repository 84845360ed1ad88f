"""Data of one's own, as `lobule new` and then the stages `download` and `convert` read them; each kind is a subject."""

import argparse
import contextlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.own import drawn, folds, instances, slides
from tests.own.project import FILES
from tests.slide_files import box
from tests.slides.markup_files import write_asap, write_imagescope

ROOT = Path(__file__).parents[2]

CLASSES = ("--classes", "background,tumour,stroma")
MICRONS = ("--microns-per-pixel", "0.5")
PATIENTS = ("--patient-pattern", r"^([A-Za-z]+\d+)_")


def read(folder: Path, out: Path, words: tuple[str, ...]) -> None:
    """Type `lobule new mine`, `download` and `convert` in a project of its own; {} in `words` is the data's folder."""
    from pipeline.commands import new
    from pipeline.stages import convert, download

    for name in FILES:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, out / name)
    with contextlib.chdir(out):
        parser = argparse.ArgumentParser()
        new.add_arguments(parser)
        new.run(parser.parse_args(["mine", *(word.format(folder) for word in words), "--encoders", "unet"]))
        for main in (download.main, convert.main):
            sys.argv = ["stage", "mine"]
            main()


def masks(folder: Path) -> None:
    """Coloured masks and a legend."""
    truths = drawn.draw(folder / "images", patients=3, images=1, classes=3)
    drawn.save(folder / "masks", truths, drawn.coloured)
    (folder / "legend.csv").write_text("#000000,background\n#ff0000,tumour\n#00ff00,stroma\n")


def nuclei(folder: Path) -> None:
    """Numbered nuclei, their classes in a table, patients in another one."""
    truths = drawn.draw(folder / "images", patients=3, images=1, classes=3)
    drawn.save(folder / "masks", truths, drawn.numbered)
    rows = drawn.class_rows(truths, ["tumour", "stroma"])
    (folder / "classes.csv").write_text("\n".join(["image,id,class", *rows]))
    (folder / "patients.csv").write_text("\n".join(["image,patient", *(f"{name},{name[:2]}" for name in truths)]))


def outlined(write: Callable[..., Path] | None) -> Callable[[Path], None]:
    """Slides with GeoJSON, or with the XML that `write` writes."""

    def make(folder: Path) -> None:
        for name, boxes in slides.draw(folder, slides=3).items():
            if write is not None:
                (folder / f"{name}.geojson").unlink()
                write(folder / f"{name}.xml", *((title, box(*place)) for title, place in boxes))

    return make


def in_folds(folder: Path) -> None:
    """PanNuke's layout."""
    folds.draw(folder / "folds", folds=2, tiles=4)
    for path in folder.glob("drawn*"):
        shutil.rmtree(path)


IMAGES = ("--images", "{}/images")
KINDS: dict[str, tuple[Callable[[Path], object], tuple[str, ...], str]] = {  # name: how it is drawn, options, files
    "own images, coloured masks": (
        masks,
        (*IMAGES, "--masks", "{}/masks", "--legend", "{}/legend.csv", *MICRONS, *PATIENTS),
        "**/*",
    ),
    "own images, numbered nuclei": (
        nuclei,
        (*IMAGES, "--masks", "{}/masks", "--class-table", "{}/classes.csv", *MICRONS, "--patients", "{}/patients.csv"),
        "**/*",
    ),
    "own images, COCO": (
        lambda folder: instances.draw(folder, patients=3, images=1),
        ("--coco", "{}/instances.json", *IMAGES, *MICRONS, *PATIENTS),
        "*.json",
    ),
    "own slides, GeoJSON": (outlined(None), ("--slides", "{}", "--tile", "128", *PATIENTS), "*.geojson"),
    "own slides, ASAP": (outlined(write_asap), ("--slides", "{}", "--tile", "128", *PATIENTS), "*.xml"),
    "own slides, ImageScope": (outlined(write_imagescope), ("--slides", "{}", "--tile", "128", *PATIENTS), "*.xml"),
    "own tiles, PanNuke's layout": (in_folds, ("--pannuke", "{}/folds", *CLASSES, *MICRONS), "**/*"),
}
