"""A network as it goes out: from RGB images to what a person wants of them, normalisation and all within."""

from pathlib import Path

import torch
from torch import nn

from pipeline.base.records import Model
from pipeline.base.study import AnyStudy, DetectionStudy
from pipeline.models import weights
from pipeline.models.classifier import TileClassifier
from pipeline.models.mask_rcnn import mask_rcnn
from pipeline.tasks.segmentation.predict import Predictor, load_model

OUTPUTS = {  # of each task, in order: name -> axes; the first is what two networks are compared by
    "segmentation": {"probabilities": "nchw", "class_map": "nhw"},
    "tiles": {"probabilities": "nc"},
    "detection": {"scores": "k", "boxes": "k4", "labels": "k", "masks": "khw"},
}
TYPES = {"class_map": "uint8", "labels": "int64"}  # of an output; the others are float32
LUMA = (19595, 38470, 7471)  # of 65,536, of red, green and blue in Pillow's grey
Outputs = tuple[torch.Tensor, ...]


def outgoing(folder: Path, record: Model, settings: AnyStudy) -> nn.Module:
    """The network of a weights folder, from uint8 images (n, h, w, 3) to what OUTPUTS names.

    Probabilities are float32; a class map has codes of `classes`, a tile's two probabilities are of "without" and "with
    the target". A detector takes one image, (1, h, w, 3), and gives of its k nuclei boxes as x0, y0, x1, y1 in px,
    and masks from 0 to 1.

    Args:
        settings: of the variant; of a detector they say which detections are kept.

    Raises:
        Problem: the weights are damaged, or of another model.
    """
    if record.task == "segmentation":
        network: nn.Module = Pixels(load_model(folder, torch.device("cpu"))[0])
    elif record.task == "tiles":
        classifier = TileClassifier(record.encoder)
        weights.load(classifier, folder / "model.safetensors")
        network = Tiles(Predictor(classifier, record.mean, record.std))
    else:
        assert isinstance(settings, DetectionStudy)
        detector = mask_rcnn(record)
        weights.load(detector, folder / "model.safetensors")
        detector.roi_heads.score_thresh = settings.predict.score
        detector.roi_heads.detections_per_img = settings.predict.detections
        network = Objects(detector)
    return (Grey(network) if record.greyscale else network).eval()


class Pixels(nn.Module):
    """A class for every pixel: probabilities (n, classes, h, w), class map (n, h, w)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> Outputs:
        probabilities = self.model(images).softmax(1)
        return probabilities, probabilities.argmax(1).to(torch.uint8)


class Tiles(nn.Module):
    """Whether the target is in a tile: probabilities (n, 2)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> Outputs:
        return (self.model(images).softmax(1)[:, :, 0, 0],)


class Objects(nn.Module):
    """The nuclei of the one image that is given: scores, boxes, labels, masks."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: torch.Tensor) -> Outputs:
        found = self.detector([images[0].permute(2, 0, 1).float() / 255])[0]
        return found["scores"], found["boxes"], found["labels"], found["masks"][:, 0]


class Grey(nn.Module):
    """A network that sees brightness alone, as Pillow computes it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> Outputs:
        luma = (images.int() * torch.tensor(LUMA, dtype=torch.int32)).sum(3, keepdim=True, dtype=torch.int32)
        grey = torch.div(luma + 32768, 65536, rounding_mode="floor").to(torch.uint8)
        found: Outputs = self.network(grey.expand(-1, -1, -1, 3))
        return found
