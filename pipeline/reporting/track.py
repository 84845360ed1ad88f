"""The scores of a study's trainings, for their runs in MLflow, which `train` opened."""

from pathlib import Path

from pipeline.base import tracking
from pipeline.base.paths import evaluation_folder, variant_folder
from pipeline.base.records import Machine, Metrics
from pipeline.base.study import Study

SPEED = {"images_per_second", "flops_per_image", "parameters"}  # what of it MLflow shows


def track(study: Study, encoder: str | None, pictures: dict[tuple[str, str], list[Path]]) -> None:
    """Add scores and speed to the run of every training; `pictures` go to that of a variant's first run and seed.

    Here and not where they are measured, since to open MLflow takes longer than to score a variant.
    """
    tiles = [(name, "balanced") for name in study.classifiers]
    for variant, plan in [*study.trained(encoder), *tiles]:
        for number, (run, seed) in enumerate((run, seed) for run in study.runs for seed in study.seeds):
            folder = evaluation_folder(study.study, run, seed, variant, plan)
            metrics, machine = Metrics.read(folder / "metrics.json"), Machine.read(folder / "machine.json")
            key = variant_folder(study.study, run, seed, variant, plan).relative_to("models").as_posix()
            title = metrics.title or f"{variant}-{plan}"
            with tracking.variant_run(study.study, title, key, weights_sha256=metrics.weights_sha256) as log:
                log.metrics(metrics.scores)
                if machine.speed:
                    log.metrics(machine.speed.model_dump(include=SPEED))
                if not number:
                    for picture in pictures.get((variant, plan), []):
                        log.artifact(picture, "pictures")
