"""Train a detector of a study: `python -m pipeline.stages.train_detector <study> <run> <encoder> <augmentation>`.

In:  the plan data/plans/<study>/run<r>/seed<s>/<augmentation>.csv (its train and validation rows), the tile store,
     the data's licence in data/raw/<dataset>/SOURCE.json.
Out: the variant's weights/ and training/ as `train` writes them; model.json names the detector's sizes, curves.csv has
     a column for each of its losses.
"""

import torch

from pipeline.base.errors import Problem, run_stage
from pipeline.models.mask_rcnn import COCO, initialise, mask_rcnn
from pipeline.tasks.detection.learn import Detection, Nuclei
from pipeline.tiles.examples import Examples
from pipeline.training.job import carry_out, read_job

SHAPE = {
    "channels",
    "anchors",
    "anchor_iou",
    "proposals",
    "sampled",
    "nuclei",
    "nms",
}  # of the parameters: what training needs
CODE = (  # shapes the weights
    "training/loop.py",
    "tasks/detection/learn.py",
    "tiles/objects.py",
    "tiles/examples.py",
    "tiles/transforms.py",
    "models/*.py",
)


def main() -> None:
    job = read_job("Train a detector of a study.")
    study = job.settings
    if study.detector is None:
        raise Problem(f"{job.study} of params.yaml has no detector; `pipeline.stages.train` is for it.")
    training, validation = (Nuclei(Examples.of(job.rows(side), study)) for side in ("train", "validation"))

    sizes = study.detector.model_dump(include=SHAPE)
    description = job.describe(study.model.weights, *COCO, width=study.model.width, detector=sizes)
    torch.manual_seed(job.seed)
    network = mask_rcnn(description)
    initialise(network, job.encoder, study.model.weights)
    settings = {"train": study.train.model_dump(exclude={"workers", "loss", "class_weights"})}
    carry_out(job, Detection(network, study.train, job.seed), description, settings, training, validation, CODE)


if __name__ == "__main__":
    run_stage(main)
