"""How a classifier of tiles predicts: the probability of the target in every tile of the study."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipeline.base.files import write_sealed
from pipeline.base.records import Model
from pipeline.base.study import PixelStudy
from pipeline.models import to_input, weights
from pipeline.models.classifier import TileClassifier
from pipeline.plans.job import Job
from pipeline.tiles.examples import Examples
from pipeline.tiles.plan import TILE


def predict(job: Job, folder: Path) -> None:
    """Write predictions.csv: a row a tile of split.csv, what names it, its side of the split, the probability."""
    study = job.settings
    assert isinstance(study, PixelStudy)
    record = Model.read(job.folder / "weights" / "model.json")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network: nn.Module = TileClassifier(record.encoder)
    weights.load(network, job.folder / "weights" / "model.safetensors")
    network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    found = probabilities(network, Examples.of(job.split, study), record, study.predict.batch, device)
    table = job.split[[*TILE, "patient", "slide", "split"]].assign(probability=found)
    write_sealed(folder / "predictions.csv", table.to_csv(index=False, lineterminator="\n", float_format="%.6f"))


@torch.inference_mode()
def probabilities(
    network: nn.Module, examples: Examples, record: Model, batch: int, device: torch.device
) -> list[float]:
    """The probability of the target in each tile."""
    found: list[float] = []
    for start in range(0, len(examples), batch):
        positions = range(start, min(start + batch, len(examples)))
        images = torch.from_numpy(np.stack([examples.image(position) for position in positions])).to(device)
        found += network(to_input(images, record.mean, record.std)).float().softmax(1)[:, 1, 0, 0].tolist()
    return found
