"""From what was understood to the files of a study: its settings, its data set, its place on the front page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.params import read_params
from pipeline.metrics.pixel import BACKGROUND
from pipeline.own import plan, writing
from pipeline.own.understand import Understood

NO_PATIENCE = "none"  # nothing is validated: all epochs, the last weights


@dataclass(frozen=True)
class Plan:
    """A study that is about to be written."""

    fractions: tuple[float, float, float]
    units: int  # patients, or images
    tested: int  # of them
    tiles: int
    texts: writing.Texts


def compose(name: str, understood: Understood, encoders: list[str], weights: str, epochs: int) -> Plan:
    """The study of a data set of images and masks.

    Raises:
        Problem: there are too few images to test on others than those trained on, or a file is not valid.
    """
    settings, seed = understood.settings, read_params().seed
    owners = [understood.patients[pair.name] or f"image {pair.name}" for pair in understood.pairs]
    counts = [plan.count_tiles([size], settings.tile_size) for size in understood.sizes]
    fractions = plan.fractions(owners, counts, seed)
    nuclei = settings.nuclei
    classes = list(settings.classes)
    floor = "background" if BACKGROUND in classes else "commonest"
    text = writing.study_text(
        name=name,
        kind=f"masks with {understood.kind.words}",
        classes=classes,
        tile_size=max(32, round(settings.tile_size / 32) * 32),
        native=settings.tile_size,
        microns=settings.microns_per_pixel,
        encoders=encoders,
        baselines=[floor, "otsu"] if nuclei else [floor],
        fractions=fractions,
        nuclei=nuclei,
        weights=weights,
        epochs=epochs,
        patience=max(5, epochs // 3) if fractions[1] else NO_PATIENCE,
    )
    texts = writing.folder_texts(name, text) | writing.project_texts(name, "masks", dataset(understood))
    tested = plan.count_tested(owners, counts, fractions, seed)
    return Plan(fractions, len(set(owners)), tested, sum(counts), texts)


def dataset(understood: Understood) -> dict[str, Any]:
    """The data set's block in params.yaml; words stand where there is nothing, since DVC drops null."""
    here = Path().resolve()
    folder = understood.folder
    source = folder.relative_to(here).as_posix() if folder.is_relative_to(here) else folder.as_posix()
    settings = understood.settings.model_dump()
    masks = {key: "none" if value is None else value for key, value in settings.items()}
    return {"source": source, "masks": masks}
