"""The model that a person names: a variant of a study, or a folder with its weights."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch

from pipeline.applying.reading import Picture
from pipeline.applying.task import Detect
from pipeline.base.errors import Problem
from pipeline.base.fetch import sha256_of
from pipeline.base.records import Model
from pipeline.base.study import DetectionStudy, PixelStudy, read_study, study_names, variant
from pipeline.base.study_blocks import DetectorPredict, Instances
from pipeline.models import weights
from pipeline.packages.variants import job_of
from pipeline.tiles.objects import Objects

TASKS = ("segmentation", "detection", "tiles")
INSIDE = 0.5  # probability from which a pixel belongs to a detected nucleus
KEPT = DetectorPredict(batch=1, score=0.5, detections=300)  # away from the study that says it


@dataclass(frozen=True)
class Chosen:
    """A weights folder, what its model.json says, and what its study says of using it."""

    folder: Path
    record: Model
    sha256: str  # of the weights
    instances: Instances | None  # how nuclei are found in a class map; None where areas are sought
    flips: bool
    detections: DetectorPredict  # which are kept, of a detector
    ignored: tuple[str, ...] = ()  # classes that its study counts nowhere

    def with_score(self, score: float) -> Self:
        """With the score that detections have at least.

        Raises:
            Problem: it is no detector.
        """
        if self.record.task != "detection":
            raise Problem(f"{self.folder} is a model of the task {self.record.task}, no detector; leave --score out.")
        return replace(self, detections=self.detections.model_copy(update={"score": score}))


def choose(name: str, run: int | None, seed: int | None, instances: str | None, minimum_size: int) -> Chosen:
    """The model of a weights folder, or of STUDY/VARIANT-PLAN in a run with a seed (the study's first ones).

    Args:
        instances: watershed or components for nuclei, none for areas; None: as the model's study says.
        minimum_size: of nuclei, px; counts where `instances` is given.

    Raises:
        Problem: there is no such model, it is of a task that cannot be applied, or nobody tells how to use it.
    """
    folder = Path(name)
    if not (folder / "model.json").exists():
        if folder.is_dir():
            raise Problem(f"{folder} has no model.json; give a folder of weights, a package, or STUDY/VARIANT-PLAN.")
        folder = job_of(name, run, seed).folder / "weights"
    record = Model.read(folder / "model.json")
    if record.task not in TASKS:
        raise Problem(f"{folder} is a model of the task {record.task}; `lobule apply` takes {', '.join(TASKS)} only.")
    file = folder / "model.safetensors"
    if not file.exists():
        raise Problem(f"{file} is missing; copy the whole folder, or train again.")
    study = _study(record)
    if record.task != "segmentation" and instances is not None:
        raise Problem(f"{folder} is a model of the task {record.task}, which has no class map; leave --instances out.")
    if record.task == "segmentation" and instances is None and study is None:
        raise Problem(
            f"the study {record.study} of {folder} is not in this project; say --instances watershed or none."
        )
    pixels = study if isinstance(study, PixelStudy) and record.task == "segmentation" else None
    own = None if pixels is None else pixels.instances
    given = None if instances in (None, "none") else Instances(method=instances, minimum_size=minimum_size)  # type: ignore[arg-type]
    kept = study.predict if isinstance(study, DetectionStudy) else KEPT
    flips = pixels is not None and pixels.predict.flips
    ignored = () if pixels is None else tuple(pixels.ignore)
    return Chosen(folder, record, sha256_of(file), own if instances is None else given, flips, kept, ignored)


def network_of(model: Chosen, device: torch.device) -> torch.nn.Module:
    """The network of a model, from images (B, H, W, 3) uint8 to logits, ready to predict."""
    from pipeline.tasks.segmentation.predict import Predictor, load_model

    if model.record.task == "tiles":
        from pipeline.models.classifier import TileClassifier

        classifier = TileClassifier(model.record.encoder)
        weights.load(classifier, model.folder / "model.safetensors")
        found = Predictor(classifier, model.record.mean, model.record.std)
        return found.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return load_model(model.folder, device, model.flips)[0]


def detector(model: Chosen, device: torch.device) -> Detect:
    """The detector of a model: it sees one image (H, W, 3) at a time, so that nothing depends on others."""
    from pipeline.models.mask_rcnn import to_input
    from pipeline.tasks.detection.predict import load_model

    network, _ = load_model(model.folder, model.detections, device)

    @torch.inference_mode()
    def detect(image: Picture) -> Objects:
        found = network([to_input(image).to(device)])[0]
        return Objects(
            found["boxes"].float().cpu().numpy(),
            found["labels"].cpu().numpy(),
            found["scores"].float().cpu().numpy(),
            (found["masks"][:, 0] >= INSIDE).cpu().numpy(),
        )

    return detect


def _study(record: Model) -> PixelStudy | DetectionStudy | None:
    """The study of a model with what its variant changes, where the project has it."""
    if record.study not in study_names():
        return None
    _, settings = variant(read_study(record.study), record.variant.rpartition("-")[0])
    return settings
