"""Mask R-CNN (He et al. 2017) of torchvision, with a ResNet and a feature pyramid, in the sizes that a study names.

A model takes a list of images (3, H, W) float from 0 to 1. While training it also takes a list of targets and gives
losses by name; else it gives for each image boxes (n, 4) as x0, y0, x1, y1 in px, labels (n,), scores (n,) falling,
and masks (n, 1, H, W) from 0 to 1. Nothing is resized: images come with their shorter side at the study's tile size.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torchvision.models import resnet
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FrozenBatchNorm2d

from pipeline.base.records import Model
from pipeline.models import weights

COCO = ([0.471, 0.448, 0.408], [0.234, 0.239, 0.242])  # mean and standard deviation of COCO's pixels, RGB, 0 to 1
RATIOS = (0.5, 1.0, 2.0)  # of height to width of anchors
POOLED = 7  # px a side of a region as the box head sees it
WIDER = 4  # of the box head's layers over the pyramid's channels: 1,024 over 256
GROUPS = 32  # of channels that are normalised together
MASK_LAYERS = 4  # convolutions of the mask head


def mask_rcnn(record: Model) -> MaskRCNN:
    """The model that a model.json describes, with random weights from torch's global generator.

    Batches of a few images are too small for batch normalisation. That of published weights is frozen; random weights
    get group normalisation instead (He, Girshick and Dollár 2019, Rethinking ImageNet Pre-training).
    """
    shape = record.shape
    channels, classes = shape["channels"], len(record.classes)
    scratch = record.weights == "random"
    body = getattr(resnet, record.encoder)(
        weights=None,
        width_per_group=shape["width"],
        zero_init_residual=scratch,  # starts as a shallow network, which learns at once
        norm_layer=group_norm if scratch else FrozenBatchNorm2d,
    )
    stages = {f"layer{number}": str(number - 1) for number in (1, 2, 3, 4)}
    widths = [body.inplanes // 8 * 2**level for level in range(len(stages))]
    background, nucleus = shape["anchor_iou"]
    return MaskRCNN(
        BackboneWithFPN(body, stages, widths, channels),
        min_size=record.tile_size,  # what the images have already
        max_size=1_000_000,
        image_mean=record.mean,
        image_std=record.std,
        rpn_anchor_generator=AnchorGenerator(
            tuple((side,) for side in shape["anchors"]), (RATIOS,) * len(shape["anchors"])
        ),
        rpn_fg_iou_thresh=nucleus,
        rpn_bg_iou_thresh=background,
        rpn_nms_thresh=shape["nms"],
        **{
            f"rpn_{when}_nms_top_n_{phase}": shape["proposals"]
            for when in ("pre", "post")
            for phase in ("train", "test")
        },
        box_head=TwoMLPHead(channels * POOLED**2, WIDER * channels),
        box_predictor=FastRCNNPredictor(WIDER * channels, classes),
        box_batch_size_per_image=shape["sampled"],
        box_positive_fraction=shape["nuclei"],
        box_nms_thresh=shape["nms"],
        mask_head=MaskRCNNHeads(channels, (channels,) * MASK_LAYERS, 1),
        mask_predictor=MaskRCNNPredictor(channels, channels, classes),
        _skip_resize=True,
    )


def to_input(image: npt.NDArray[np.uint8]) -> torch.Tensor:
    """An image (H, W, 3) uint8 as the model takes it, (3, H, W) float32 from 0 to 1."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation of that many channels."""
    return nn.GroupNorm(min(GROUPS, channels), channels)


def initialise(model: MaskRCNN, encoder: str, first_weights: str) -> None:
    """Give the model's ResNet its first weights: random, imagenet or the path of a checkpoint.

    Raises:
        Problem: the weights cannot be had, or do not fit.
    """
    holder = nn.Module()
    holder.encoder = model.backbone.body
    weights.initialise(holder, encoder, first_weights)
