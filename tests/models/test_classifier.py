from pathlib import Path

import torch

from pipeline.models import build, weights
from pipeline.models.classifier import TileClassifier


def test_two_logits_a_tile() -> None:
    assert TileClassifier("mobilenet_v2").eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 2, 1, 1)


def test_a_u_net_takes_the_encoder_of_a_saved_classifier(tmp_path: Path) -> None:
    classifier = TileClassifier("densenet121")
    weights.save(classifier, tmp_path / "model.safetensors")
    network = build("densenet121", 2, 8, [32, 16, 8, 8])
    weights.initialise(network, "densenet121", str(tmp_path / "model.safetensors"))
    given, taken = classifier.encoder.state_dict(), network.get_submodule("encoder").state_dict()
    assert len(taken) > 300
    assert all(torch.equal(given[name], value) for name, value in taken.items())
