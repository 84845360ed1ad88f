"""Which slides a model was trained on, as far as its passport and the tile store tell."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from pipeline.base.errors import Problem
from pipeline.base.paths import TILES
from pipeline.base.records import Model, Seen
from pipeline.datasets.discovery import bare_name
from pipeline.tiles.plan import tcga_patients
from pipeline.tiles.store import Shard
from pipeline.training.passport import from_ranges


def trained_on(record: Model, slides: Mapping[str, Path], patients: Mapping[str, str]) -> dict[str, str]:
    """Slides that a model has seen, each with what tells so.

    They are known by the barcode of TCGA in their name or their patient's, by the patient's name, and by their own
    name: that of a shard, or of a slide in a tile store that lies here. Names may agree by chance, which nobody but
    the person can tell; drawn data have seen nobody.
    """
    table = pd.DataFrame({"patient": [patients.get(name, "") for name in slides], "slide": [*slides]})
    barcodes = dict(zip(slides, tcga_patients(table), strict=True))
    found: dict[str, str] = {}
    for part in record.trained_on:
        if part.sample:
            continue
        names = {name.lower() for name in (*part.shards, *_slides(part))}
        for name, path in slides.items():
            patient = next((each for each in (barcodes[name], patients.get(name, "")) if each in part.patients), "")
            if patient:
                found.setdefault(name, f"patient {patient} of {part.dataset}")
            elif bare_name(path.name).lower() in names:
                found.setdefault(name, f"{bare_name(path.name)} of {part.dataset}")
    return found


def _slides(part: Seen) -> set[str]:
    """The slides of the tiles that were seen, where the tile store lies here and is of the same source."""
    found: set[str] = set()
    for shard in part.shards:
        store, tiles = Shard(TILES / part.dataset / f"{shard}.h5"), part.tiles.get(shard)
        try:
            if store.info.source_sha256 == part.sha256:
                names = store.table()["slide"]
                chosen = names if tiles is None else names.iloc[from_ranges(tiles)]
                found |= {bare_name(PurePosixPath(str(name)).name) for name in chosen}
        except (Problem, OSError, IndexError):
            continue  # what is not here, or is another one by now, tells nothing
    return found - {""}
