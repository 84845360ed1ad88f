"""What is done on every slide, and what the state of a slide belongs to."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.applying import cells as cell_work
from pipeline.applying.blending import Predict
from pipeline.applying.field import Regions
from pipeline.applying.inputs import NUCLEI, OME_TIFF, POINTS
from pipeline.applying.reading import Picture
from pipeline.base.records import AppliedParameters
from pipeline.base.study_blocks import Instances
from pipeline.metrics.pixel import BACKGROUND
from pipeline.tiles.objects import Objects

STATE = 3  # raised when what lies in a slide's folder is read otherwise
BLOCK = 2048  # px at the model's resolution on a side of what is predicted at once,
MANY = 8  # and half of it where there are more classes, since each has a map of sums

Detect = Callable[[Picture], Objects]


@dataclass(frozen=True)
class Task:
    """What is done on every slide."""

    predict: Predict | None
    sha256: str  # of the weights
    classes: Sequence[str]
    microns_per_pixel: float  # that the model sees
    greyscale: bool
    parameters: AppliedParameters
    regions: Regions | None
    batch: int
    kind: str = "segmentation"  # the model's task
    detect: Detect | None = None  # of a detector, in place of predict
    ome_tiff: bool = False  # whether the maps are written, too; nothing else depends on it
    block: int = BLOCK
    cell: int = cell_work.SIDE
    margin: int = cell_work.MARGIN

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the names of a slide's results end in: outlines first."""
        outlined = "geojson.gz" if self.parameters.gzip else "geojson"
        more = {
            POINTS: self.parameters.points,
            NUCLEI: self.parameters.parquet,
            OME_TIFF: self.ome_tiff,
        }
        return (outlined, "csv", "png", *(kind for kind, is_wanted in more.items() if is_wanted))

    @property
    def background(self) -> int | None:
        return self.classes.index(BACKGROUND) if BACKGROUND in self.classes else None

    @property
    def instances(self) -> Instances | None:
        if self.parameters.instances is None:
            return None
        return Instances(method=self.parameters.instances, minimum_size=self.parameters.minimum_size)  # type: ignore[arg-type]

    def key(self, path: Path) -> str:
        """What the state of a slide belongs to: the model, the parameters, the file as it is now."""
        file = path.stat()
        shaping = [
            STATE,
            self.kind,
            self.sha256,
            self.parameters.shaping(),
            str(path.resolve()),
            file.st_size,
            file.st_mtime_ns,
        ]
        return hashlib.sha256(json.dumps([*shaping, self.block, self.cell, self.margin]).encode()).hexdigest()
