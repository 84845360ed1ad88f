"""How a Mask R-CNN predicts: the nuclei of every image of the study."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.base import hdf5
from pipeline.base.records import Model, Speed
from pipeline.base.study import DetectionStudy
from pipeline.base.study_blocks import DetectorPredict
from pipeline.models import weights
from pipeline.models.mask_rcnn import mask_rcnn, to_input
from pipeline.plans.job import Job
from pipeline.tiles.examples import Examples
from pipeline.tiles.objects import Objects
from pipeline.tiles.plan import SPLITS

INSIDE = 0.5  # probability from which a pixel belongs to a mask


def predict(job: Job, folder: Path) -> None:
    """Write detections.h5 and speed.json (parameters, images per second on this machine).

    The first has a group for each side of the split (`train`, `validation`, `test`), training images as they are,
    without their augmented copies:

        image   (n,) int32           position among the rows of split.csv of that side; ascending
        boxes   (n, 4) float32       x0, y0, x1, y1 in px at the study's size
        labels  (n,) uint8           class codes
        scores  (n,) float32         falling within an image
        masks   (n, H, ceil(W / 8))  uint8, eight pixels a byte, the first one highest

    They are compressed: zlib's checksums notice a flipped bit.
    """
    study = job.settings
    assert isinstance(study, DetectionStudy)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, classes = load_model(job.folder / "weights", study.predict, device)
    seconds = 0.0
    with hdf5.create(folder / "detections.h5") as file:
        hdf5.write_attribute(file, "classes", json.dumps(classes))
        for side in SPLITS:
            examples = Examples.of(job.rows(side), study)
            started = time.perf_counter()
            write_objects(file.create_group(side), detect(model, examples, study.predict.batch, device))
            seconds += time.perf_counter() - started
    images, batch = len(job.split), str(study.predict.batch)
    Speed(
        device=torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        parameters=sum(value.numel() for value in model.parameters()),
        flops_per_image=None,  # they depend on what is found
        images_per_second={batch: round(images / seconds, 2)},
        best_batch=batch,
        images=images,
        seconds=round(seconds, 2),
    ).write(folder / "speed.json")


def load_model(folder: Path, options: DetectorPredict, device: torch.device) -> tuple[nn.Module, list[str]]:
    """The model of a weights folder, keeping the detections that `options` ask for, and its classes."""
    record = Model.read(folder / "model.json")
    model = mask_rcnn(record)
    weights.load(model, folder / "model.safetensors")
    model.roi_heads.score_thresh = options.score
    model.roi_heads.detections_per_img = options.detections
    return model.to(device).eval(), record.classes


@torch.inference_mode()
def detect(model: nn.Module, examples: Examples, batch: int, device: torch.device) -> Iterator[Objects]:
    """What the model finds in each example."""
    for start in range(0, len(examples), batch):
        positions = range(start, min(start + batch, len(examples)))
        for found in model([to_input(examples.image(position)).to(device) for position in positions]):
            yield Objects(
                found["boxes"].float().cpu().numpy(),
                found["labels"].cpu().numpy(),
                found["scores"].float().cpu().numpy(),
                (found["masks"][:, 0] >= INSIDE).cpu().numpy(),
            )


def write_objects(group: Any, images: Iterator[Objects]) -> None:
    """Add the objects of one image after the other to an HDF5 group, so that memory holds those of one image."""
    group.attrs["images"] = 0
    for position, found in enumerate(images):
        group.attrs["images"] = position + 1
        packed = np.packbits(found.masks, axis=2)
        if not position:
            for name, kind, shape in (
                ("image", "i4", ()),
                ("boxes", "f4", (4,)),
                ("labels", "u1", ()),
                ("scores", "f4", ()),
                ("masks", "u1", packed.shape[1:]),
            ):
                chunks = (1, *shape) if name == "masks" else (1024, *shape)
                group.create_dataset(
                    name, (0, *shape), kind, chunks=chunks, maxshape=(None, *shape), compression="gzip"
                )
            group.attrs["width"] = found.masks.shape[2]  # bits beyond it fill the last byte
        columns = {"image": np.full(len(found.labels), position), "masks": packed}
        columns |= {"boxes": found.boxes, "labels": found.labels, "scores": found.scores}
        for name, values in columns.items():
            dataset = group[name]
            dataset.resize(len(dataset) + len(values), axis=0)
            dataset[len(dataset) - len(values) :] = values
