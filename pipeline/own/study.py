"""From what was understood to the files of a study: its settings, its data set, its place on the front page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.params import read_params
from pipeline.metrics.pixel import BACKGROUND
from pipeline.own import plan, writing
from pipeline.own.found import Found
from pipeline.own.variants import variants_of

BY = {
    "group": "by patient where known, else by image or slide",
    "official": "by folds, as params.yaml has them",
    "dataset": "the last data set tests; patients of the others train and validate",
    "random": "each tile by itself: nothing tells whose it is",
    "block": "one image or slide alone, in blocks, which leaks: no figure says anything of another one",
}
NO_PATIENCE = "none"  # nothing is validated: all epochs, the last weights


@dataclass(frozen=True)
class Plan:
    """A study that is about to be written."""

    by: str  # what tiles are split
    fractions: tuple[float, float, float]
    units: int  # patients, or images, or blocks of one
    tested: int  # of them
    tiles: int
    epochs: int  # of each training, at most
    variants: int
    pretrained: bool  # whether any of them has weights that are not random
    texts: writing.Texts


def compose(name: str, found: Found, encoders: list[str], weights: dict[str, str], epochs: int) -> Plan:
    """The study of a data set of one's own, which compares encoders and first weights (name -> what they are).

    Raises:
        Problem: there are too few images to test on others than those trained on, or a file is not valid.
    """
    seed, owners, by = read_params().seed, found.owners, found.by
    if by == "group" and len(found.names) == 1 and found.tiles[0] > 1:
        by, owners = "block", plan.blocks(found.tiles[0])
        tiles, fractions = [1] * len(owners), plan.FRACTIONS[-1][1]
    else:
        tiles, fractions = found.tiles, found.fractions or plan.fractions(owners, found.tiles, seed)
    floor = "background" if BACKGROUND in found.classes else "commonest"
    variants = variants_of(encoders, weights)
    text = writing.study_text(
        name=name,
        kind=found.words,
        reader=found.kind,
        by=by,
        by_what=BY[by],
        runs=found.runs,
        classes=found.classes,
        tile_size=max(32, round(found.tile_size / 32) * 32),
        native=found.tile_size,
        microns=found.microns_per_pixel,
        variants=variants,
        baselines=[floor, "otsu"] if found.nuclei else [floor],
        fractions=fractions,
        nuclei=found.nuclei,
        weights=next(iter(weights.values())),
        epochs=epochs,
        patience=max(5, epochs // 3) if fractions[1] else NO_PATIENCE,
    )
    texts = writing.folder_texts(name, text) | writing.project_texts(name, found.kind, dataset(found))
    tested = plan.count_tested(owners, tiles, fractions, seed)
    pretrained = {*weights.values()} != {"random"}
    return Plan(by, fractions, len(set(owners)), tested, sum(found.tiles), epochs, len(variants), pretrained, texts)


def dataset(found: Found) -> dict[str, Any]:
    """The data set's block in params.yaml; words stand where there is nothing, since DVC drops null."""
    here, folder = Path().resolve(), found.source
    source = folder.relative_to(here).as_posix() if folder.is_relative_to(here) else folder.as_posix()
    return {"source": source, found.kind: _worded(found.settings.model_dump())}


def _worded(block: dict[str, Any]) -> dict[str, Any]:
    words = {"microns_per_pixel": "full", "slide_microns_per_pixel": "tags"}
    return {
        key: _worded(value) if isinstance(value, dict) else words.get(key, "none") if value is None else value
        for key, value in block.items()
    }
