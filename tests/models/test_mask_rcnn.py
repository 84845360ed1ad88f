from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from pipeline.base.errors import Problem
from pipeline.base.records import Model
from pipeline.models import weights
from pipeline.models.encoders import DETECTORS
from pipeline.models.mask_rcnn import COCO, initialise, mask_rcnn


def description(**changes: Any) -> Model:
    """What model.json says of a small detector."""
    shape = {"width": 64, "channels": 32, "anchors": [8, 16, 32, 64, 128], "anchor_iou": [0.3, 0.7], "proposals": 20}
    shape |= {"sampled": 16, "nuclei": 0.5, "nms": 0.5}
    given: dict[str, Any] = {"study": "tiny", "variant": "resnet18-plain", "trained_on": []}
    given |= {"task": "detection", "encoder": "resnet18", "classes": ["background", "normal", "invasive"]}
    given |= {"tile_size": 64, "microns_per_pixel": 0.42, "greyscale": False, "target": None, "shape": shape}
    given |= {"weights": "random", "mean": COCO[0], "std": COCO[1], "licence": "", "datasets": [], "sample": True}
    return Model(**given | changes)


def test_it_gives_losses_while_training_and_nuclei_afterwards() -> None:
    torch.manual_seed(0)
    model = mask_rcnn(description())
    image = torch.rand(3, 64, 85)
    mask = torch.zeros(1, 64, 85, dtype=torch.uint8)
    mask[0, 10:20, 10:22] = 1
    target = {"boxes": torch.tensor([[10.0, 10, 22, 20]]), "labels": torch.tensor([2]), "masks": mask}
    losses = model([image], [target])
    assert set(losses) == {"loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg"}
    assert sum(losses.values()).isfinite()
    model.eval().roi_heads.score_thresh = 0.0
    (found,) = model([image])
    assert found["masks"].shape == (len(found["boxes"]), 1, 64, 85)
    assert len(found["boxes"]) and set(found["labels"].tolist()) <= {1, 2}


def test_the_papers_model_has_the_parameters_of_torchvision() -> None:
    shape = {"width": 64, "channels": 256, "anchors": [32, 64, 128, 256, 512], "anchor_iou": [0.3, 0.7]}
    shape |= {"proposals": 1000, "sampled": 512, "nuclei": 0.25, "nms": 0.5}
    with torch.device("meta"):
        model = mask_rcnn(description(encoder="resnet50", classes=["a"] * 91, weights="imagenet", shape=shape))
    # as torchvision says of maskrcnn_resnet50_fpn
    assert sum(value.numel() for value in model.parameters()) == 44_401_393


@pytest.mark.parametrize("encoder", DETECTORS)
@pytest.mark.parametrize("width", [16, 64])
def test_every_encoder_that_the_check_lets_pass_can_be_built(encoder: str, width: int) -> None:
    with torch.device("meta"):
        shape = description().shape | {"width": width}
        assert mask_rcnn(description(encoder=encoder, shape=shape)).backbone.out_channels == 32


def test_random_weights_get_group_normalisation_and_published_ones_keep_theirs() -> None:
    for first, norm in (("random", nn.GroupNorm), ("imagenet", FrozenBatchNorm2d)):
        body = mask_rcnn(description(weights=first)).backbone.body
        assert isinstance(body.bn1, norm)


def test_first_weights_come_from_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "first.safetensors"
    torch.manual_seed(1)
    source = mask_rcnn(description(weights=str(path)))
    holder = nn.Module()
    holder.encoder = source.backbone.body
    weights.save(holder, path)
    torch.manual_seed(2)
    model = mask_rcnn(description(weights=str(path)))
    assert not torch.equal(model.backbone.body.conv1.weight, source.backbone.body.conv1.weight)
    initialise(model, "resnet18", str(path))
    assert torch.equal(model.backbone.body.conv1.weight, source.backbone.body.conv1.weight)
    other = mask_rcnn(description(encoder="resnet34", weights=str(path)))
    with pytest.raises(Problem, match=r"lacks; give a checkpoint"):
        initialise(other, "resnet34", str(path))
