"""Every tile of the study gets the model's probability of the target."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.base.records import Model
from pipeline.models import weights
from pipeline.models.classifier import TileClassifier
from pipeline.plans.job import Job
from pipeline.stages import predict
from pipeline.tiles.examples import Examples
from tests.command_line import asked
from tests.tasks.tiles.conftest import SIDES
from tests.tiny_study import SIZE

MEAN, STD = [0.5, 0.4, 0.6], [0.2, 0.3, 0.25]


def images_of(job: Job) -> torch.Tensor:
    """All images, normalised, (N, 3, H, W)."""
    examples = Examples.of(job.split, job.settings)
    images = torch.from_numpy(np.stack([examples.image(i) for i in range(len(examples))])).permute(0, 3, 1, 2) / 255
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@pytest.fixture
def network(job: Job, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """A classifier that was never trained, saved for the job."""
    monkeypatch.setattr(sys, "argv", ["predict", *asked("tiny", 1, 42, "sorter", "balanced")])
    torch.manual_seed(1)
    network = TileClassifier("mobilenet_v2")
    with torch.no_grad():
        for _ in range(45):  # so that normalisation tells one image from another, and rounding does not
            network(images_of(job))
    (job.folder / "weights").mkdir(parents=True)
    weights.save(network, job.folder / "weights/model.safetensors")
    Model(
        study="tiny",
        variant="unet-plain",
        task="tiles",
        encoder="mobilenet_v2",
        classes=["background", "UDH"],
        tile_size=SIZE,
        microns_per_pixel=0.25,
        greyscale=False,
        target="UDH",
        shape={},
        weights="random",
        mean=MEAN,
        std=STD,
        licence="none: drawn tiles",
        datasets=["bracs"],
        sample=True,
        trained_on=[],
    ).write(job.folder / "weights/model.json")
    return network.eval()


def test_the_probabilities_are_the_models_in_the_order_of_the_split(job: Job, network: torch.nn.Module) -> None:
    predict.main()
    path = job.folder / "predictions/predictions.csv"
    found = pd.read_csv(path, comment="#")
    assert found["split"].value_counts().to_dict() == SIDES
    assert found[["shard", "index"]].to_numpy().tolist() == job.split[["shard", "index"]].to_numpy().tolist()
    with torch.no_grad():
        expected = network(images_of(job)).softmax(1)[:, 1, 0, 0].numpy()
    np.testing.assert_allclose(found["probability"], expected, atol=2e-5)
    assert found["probability"].between(0, 1).all() and np.ptp(found["probability"]) > 1e-4
    first = path.read_bytes()
    predict.main()
    assert path.read_bytes() == first
