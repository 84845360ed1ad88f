"""Find the nuclei of a study's images.

    python -m pipeline.stages.predict_detector <study> <run> <encoder> <augmentation>

In:  the variant's weights/, the study's split.csv, the tile store.
Out: the variant's predictions/detections.h5, a group for each side of the split (`train`, `validation`, `test`), since
     the paper's headline is of training images (as they are, not their augmented copies):
         image   (n,) int32           position among the rows of split.csv of that side; ascending
         boxes   (n, 4) float32       x0, y0, x1, y1 in px at the study's size
         labels  (n,) uint8           class codes
         scores  (n,) float32         falling within an image
         masks   (n, H, ceil(W / 8))  uint8, eight pixels a byte, the first one highest
     and predictions/speed.json: parameters and images per second on this machine.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn

from pipeline.base.errors import Problem, run_stage
from pipeline.base.files import read_json, replacing, write_json
from pipeline.base.params import Detector, read_params
from pipeline.base.paths import AUGMENTATIONS, variant_folder
from pipeline.models import weights
from pipeline.models.mask_rcnn import mask_rcnn
from pipeline.tasks.detection.learn import image_of
from pipeline.tiles.examples import Examples
from pipeline.tiles.objects import Objects
from pipeline.tiles.plan import SPLITS, plan_folder, read_plan

INSIDE = 0.5  # probability from which a pixel belongs to a mask


def main() -> None:
    parser = argparse.ArgumentParser(description="Find the nuclei of a study's images with one variant.")
    parser.add_argument("study")
    parser.add_argument("run", type=int)
    parser.add_argument("encoder", help="an encoder, or a name among the study's variants")
    parser.add_argument("augmentation", choices=AUGMENTATIONS)
    parser.add_argument("--seed", type=int, help="of the training; the top-level seed of params.yaml where not given")
    arguments = parser.parse_args()
    params = read_params()
    _, study = params.study(arguments.study).of(arguments.encoder)
    if study.detector is None:
        raise Problem(f"{arguments.study} of params.yaml has no detector; `pipeline.stages.predict` is for it.")
    seed = params.seed if arguments.seed is None else arguments.seed
    plan = read_plan(plan_folder(arguments.study, arguments.run, params.seed) / "split.csv")
    folder = variant_folder(arguments.study, arguments.run, seed, arguments.encoder, arguments.augmentation)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, description = load_detector(folder / "weights", study.detector, device)

    with replacing(folder / "predictions") as temporary:
        temporary.mkdir()
        seconds = 0.0
        with h5py.File(temporary / "detections.h5", "w") as file:
            file.attrs["classes"] = json.dumps(description["classes"])
            for side in SPLITS:
                examples = Examples.of(plan[plan["split"] == side], study)
                started = time.perf_counter()
                write_objects(file.create_group(side), detect(model, examples, study.predict.batch, device))
                seconds += time.perf_counter() - started
        speed = {
            "device": torch.cuda.get_device_name()
            if device.type == "cuda"
            else f"cpu, {torch.get_num_threads()} threads",
            "parameters": sum(value.numel() for value in model.parameters()),
            "batch": study.predict.batch,
            "images": len(plan),
            "seconds": round(seconds, 2),
            "images_per_second": round(len(plan) / seconds, 2),
        }
        write_json(temporary / "speed.json", speed)


def load_detector(folder: Path, detector: Detector, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """The model of a weights folder, keeping the detections that `detector` asks for, and its model.json."""
    description = read_json(folder / "model.json")
    model = mask_rcnn(description)
    weights.load(model, folder / "model.safetensors")
    model.roi_heads.score_thresh = detector.score
    model.roi_heads.detections_per_img = detector.detections
    return model.to(device).eval(), description


@torch.inference_mode()
def detect(model: nn.Module, examples: Examples, batch: int, device: torch.device) -> Iterator[Objects]:
    """What the model finds in each example."""
    for start in range(0, len(examples), batch):
        positions = range(start, min(start + batch, len(examples)))
        for found in model([image_of(examples, position).to(device) for position in positions]):
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


if __name__ == "__main__":
    run_stage(main)
