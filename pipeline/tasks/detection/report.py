"""How a study of detectors is reported: all its variants and baselines, over all runs and seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.base import hdf5
from pipeline.base.files import replacing, write_text
from pipeline.base.params import Params
from pipeline.base.paths import REPORTS, evaluation_folder, plan_folder
from pipeline.base.study import DetectionStudy
from pipeline.base.study import variant as settings
from pipeline.metrics.pixel import BACKGROUND
from pipeline.reporting import band, class_figures, detections, facts, pictures, row_tables
from pipeline.reporting.image_variants import Variant, against_best, load
from pipeline.reporting.paper import differences, headline
from pipeline.reporting.published import Published
from pipeline.reporting.rendering import render_report
from pipeline.reporting.track import track
from pipeline.tiles.examples import Examples
from pipeline.tiles.objects import Objects, true_objects
from pipeline.tiles.plan import SPLITS, read_plan
from pipeline.tiles.store import shards


def write(study: DetectionStudy, params: Params) -> None:
    """Write reports/<study>.md and reports/<study>/: scores.csv, intervals.csv, votes.csv, curves.csv, figures.

    Pictures of images go to reports/private/<study>/ where the data's licence does not let them be published.
    """
    name, paper = study.study, headline(study)
    classes = [each for each in study.classes if each != BACKGROUND]
    encoder = params.joining(study)
    variants = load(study, encoder, paper.names, params.seed)
    trained = [variant for variant in variants if not variant.baseline]
    best = max(trained, key=lambda variant: variant.figures["test"][paper.score].value)
    info = shards(study.datasets[0])[0].info
    sample = info.source == "sample"
    public = sample or study.report.publish_pictures
    here = {
        f"{each.name}-{each.plan}": {score: figure.value for score, figure in each.figures["test"].items()}
        for each in trained
    }
    bands = band.measured(params, study, [info.source_sha256], here)
    plans = {run: plan_folder(name, run) for run in study.runs}
    first = plans[study.runs[0]]
    with replacing(REPORTS / name) as folder, replacing(REPORTS / "private" / name) as private:
        folder.mkdir()
        private.mkdir()
        rows_at = write_tables(folder, name, info.source, variants, bands)
        draw_figures(folder, trained, classes)
        pictures.save(draw_detections(study, best, classes), (folder if public else private) / "detections.png")
        page = render_report(
            study,
            rows_at=rows_at,
            params=params,
            parameters=facts.as_yaml(params, study),
            source=info,
            sample=sample,
            differs=differences(paper, study, params, sample),
            pictures_at=name if public else f"private/{name}",
            classes=classes,
            images=count_images(first),
            counted=best.held_out["truth"].value_counts().to_dict(),
            nuclei=best.held_out.groupby("truth")["nuclei"].sum().to_dict(),
            native=facts.native_size(study.datasets[0]),
            guarded=facts.guarded(plans),
            variants=variants,
            trained=trained,
            best=best,
            paper=paper,
            published=Published.of(name),
            tests=against_best(variants, best, classes, params.seed),
            bands=bands,
            machine=facts.machine(),
        )
    write_text(REPORTS / f"{name}.md", page)
    track(study, encoder, {})


def write_tables(
    folder: Path, study: str, source: str, variants: Sequence[Variant], bands: Sequence[dict[str, Any]]
) -> dict[str, str]:
    """Write the tables from which every figure of the report can be recomputed; where those with a row an image are."""
    named = [{"variant": variant.name, "plan": variant.plan} for variant in variants]
    intervals = [
        {"study": study, "source": source, **name, "score": score if side == "test" else f"{side}_{score}"}
        | {"value": figure.value, "sd": figure.sd, "low": figure.low, "high": figure.high}
        | {"runs": len(variant.trainings), "unit": "patients, else images", "units": figure.units}
        for name, variant in zip(named, variants, strict=True)
        for side in SPLITS
        for score, figure in variant.figures[side].items()
        if np.isfinite(figure.value)
    ]
    scores = [
        {"study": study, "source": source, **name, "run": training.run, "seed": training.seed}
        | training.scores["test"]["scores"]
        for name, variant in zip(named, variants, strict=True)
        for training in variant.trainings
    ]
    votes = [variant.votes.assign(**name) for name, variant in zip(named, variants, strict=True)]
    curves = [variant.curves.assign(**name) for name, variant in zip(named, variants, strict=True)]
    for title, table, digits in (
        ("scores", pd.DataFrame(scores), 10),
        ("intervals", band.beside(pd.DataFrame(intervals), bands), 10),
        ("curves", pd.concat(curves), 6),
    ):
        table.to_csv(folder / f"{title}.csv", index=False, lineterminator="\n", float_format=f"%.{digits}g")
    return row_tables.write(folder, study, {"votes": pd.concat(votes)}, digits=6)


def draw_figures(folder: Path, trained: Sequence[Variant], classes: Sequence[str]) -> None:
    """Draw the figures that are made of numbers; the images of several trainings count together."""
    votes = {variant.model: variant.votes[variant.votes["split"] == "test"] for variant in trained}
    class_figures.roc_curves(votes, classes, folder / "roc.png")
    matrices = {variant.model: variant.confusion("test").tolist() for variant in trained}
    class_figures.confusions(matrices, classes, folder / "confusion.png")
    curves = {
        variant.model + (f", run {run}, seed {seed}" if len(variant.trainings) > 1 else ""): rows
        for variant in trained
        for (run, seed), rows in variant.curves.groupby(["run", "seed"], sort=False)
    }
    class_figures.losses(curves, folder / "losses.png")


def draw_detections(study: DetectionStudy, variant: Variant, classes: Sequence[str]) -> Image.Image:
    """Draw what a variant found in the first test image of each class, in its first training."""
    run, seed = variant.trainings[0].run, variant.trainings[0].seed
    plan = read_plan(plan_folder(study.study, run) / "split.csv")
    examples = Examples.of(plan[plan["split"] == "test"], settings(study, variant.name)[1])
    votes = variant.votes[(variant.votes[["split", "run", "seed"]] == ["test", run, seed]).all(axis=1)]
    rows = []
    path = evaluation_folder(study.study, run, seed, variant.name, variant.plan) / "shown.h5"
    with hdf5.reading(path) as file:
        for position in sorted(int(name) for name in file):
            group = file[str(position)]
            found = Objects(*(hdf5.read_array(group, name) for name in ("boxes", "labels", "scores", "masks")))
            row = votes.iloc[position]
            caption = f"{row['slide']}: {row['truth']}, called {row['call']}"
            image = examples.image(position)
            rows.append(detections.Shown(caption, image, true_objects(examples, position), found))
    return detections.sheet(rows, classes)


def count_images(plans: Path) -> list[dict[str, str | int]]:
    """Images of each class on each side, and rows of its training images in the augmented plan."""
    split, augmented = (read_plan(plans / f"{name}.csv") for name in ("split", "augmented"))
    result: list[dict[str, str | int]] = []
    for shard, rows in split.groupby("shard", sort=False):
        training = augmented[(augmented["shard"] == shard) & (augmented["split"] == "train")]
        sides = {side: int((rows["split"] == side).sum()) for side in SPLITS}
        result.append({"class": str(shard), **sides, "augmented": len(training)})
    return result
