"""Whole slides of one's own, cut into tiles: the parts that lie in a folder, as params.yaml describes it.

A slide and its annotation (GeoJSON of QuPath, XML of ASAP or ImageScope) have one name and may lie anywhere in their
folders. Each slide is a shard. One that cannot be used is a part whose tiles end in a Problem, so that the others are
converted before the stage fails.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.errors import Problem
from pipeline.base.params import Slides, Tiling, names_in
from pipeline.datasets.discovery import File, Survey, bare_name, companions, look
from pipeline.datasets.masks.patients import patients_of
from pipeline.datasets.slides.card import SUFFIXES
from pipeline.datasets.whole_slide import WholeSlide

if TYPE_CHECKING:
    from pipeline.slides.annotations import Annotations

ANNOTATIONS = {".geojson", ".json", ".xml"}
QPDATA = ".qpdata"
SKIP = "leave such slides out with `--skip-unpaired` (unpaired: skip)"


@dataclass(frozen=True)
class OwnSlides:
    """A pipeline.datasets.Reader of whole slides."""

    settings: Slides

    def find(self, folder: Path, tiling: Tiling | None = None) -> list[WholeSlide]:
        """The slides in a folder, by name, and annotations without a slide; `tiling` goes before params.yaml's.

        Raises:
            Problem: there is no slide, or the table or pattern of patients cannot be used.
        """
        surveys, found, inner = self._files(folder)
        names = sorted(found["slide"].keys() | found["annotation"].keys())
        if self.settings.unpaired == "skip":
            names = [name for name in names if name in found["slide"] and name in found["annotation"]]
        files = {name: [found[kind].get(name, []) for kind in ("slide", "annotation", "qpdata")] for name in names}
        titles = {name: bare_name((slides or outlines)[0].name) for name, (slides, outlines, _) in files.items()}
        if not any(slides for slides, _, _ in files.values()):
            self._tell(surveys, found, [])
            which = "with an annotation of its name" if found["slide"] else f"({', '.join(sorted(SUFFIXES))})"
            raise Problem(f"{folder / self.settings.slides} holds no slide {which}; give the folder in which they lie.")
        patients = patients_of([titles[name] for name in names if files[name][0]], folder, self.settings)
        table = [] if self.settings.patient_table is None else [folder / self.settings.patient_table]
        parts = [
            WholeSlide(
                titles[name],
                slides,
                annotations,
                partial(read_outlines, settings=self.settings),
                tiling or self.settings.tiling,
                patient=patients.get(titles[name], ""),
                tables=table,
                inner=[path for slide in slides for path in inner.get(slide, [])],
                qpdata=qpdata,
                leave_out=SKIP,
            )
            for name, (slides, annotations, qpdata) in files.items()
        ]
        self._tell(surveys, found, parts)
        return parts

    def _files(self, folder: Path) -> tuple[list[Survey], dict[str, dict[str, list[Path]]], dict[Path, list[Path]]]:
        """What lies in both folders: slides, annotations and QuPath's data by name, what slides have beside."""
        roots = (folder / self.settings.slides, folder / self.settings.annotations)
        surveys = {root: look(root) for root in roots}
        slides, annotations = (surveys[root].files for root in roots)
        inner = companions(slides)
        within = {path for paths in inner.values() for path in paths}
        found: dict[str, dict[str, list[Path]]] = {"slide": {}, "annotation": {}, "qpdata": {}}

        def add(kind: str, file: File) -> None:
            found[kind].setdefault(bare_name(file.name.name).lower(), []).append(file.path)

        for file in slides:
            if file.path not in within and file.name.suffix.lower() in SUFFIXES:
                add("slide", file)
            elif file.name.suffix.lower() == QPDATA:
                add("qpdata", file)
        for file in annotations:
            if file.path not in within and file.name.suffix.lower() in ANNOTATIONS:
                add("annotation", file)
        return list(surveys.values()), found, inner

    def _tell(self, surveys: list[Survey], found: dict[str, dict[str, list[Path]]], parts: list[WholeSlide]) -> None:
        """Print what is used of each folder, and what is left out."""
        used = {path for part in parts for path in part.files}
        halves = {path for kind in ("slide", "annotation") for paths in found[kind].values() for path in paths}
        for survey in surveys:
            survey.tell(
                [file for file in survey.files if file.path in used],
                {
                    "without the other half": [file for file in survey.files if file.path in halves],
                    "QuPath's own data, of which the export is read": [
                        file for file in survey.files if file.name.suffix.lower() == QPDATA
                    ],
                },
            )


def reader(settings: Slides) -> OwnSlides:
    """The reader of a data set of this kind."""
    return OwnSlides(settings)


def read_outlines(path: Path, settings: Slides) -> "Annotations":
    """The outlines of a slide as params.yaml has them meant; a Problem where they cannot be read."""
    from pipeline.slides.annotations import BACKGROUND, REGION, read_annotations
    from pipeline.tiles.store import IGNORE

    codes = {each: code for code, text in enumerate(settings.classes.values()) for each in names_in(text)}
    if settings.region_class:
        codes[settings.region_class.lower()] = REGION
    return read_annotations(path, codes, IGNORE if settings.not_outlined == "ignore" else BACKGROUND)
