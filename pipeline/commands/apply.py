"""Use a trained model on slides: `lobule apply STUDY/VARIANT-PLAN SLIDE ... --out DIR`.

    lobule apply pannuke/resnet50-augmented slide.svs --out results
    lobule apply models/bracs/run1/seed42/resnet34-plain/weights slides/ --out results

In:  a model that was trained here, or its weights folder; slides, pictures, folders of them.
Out: <slide>.geojson for QuPath, <slide>.csv, <slide>.png; run.json, summary.csv and index.html over all; with --truth
     truth.md, how well it holds. In DIR/.lobule lies how far it came: a call that was killed goes on from there.
"""

import argparse
import importlib.metadata
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.applying.options import add_arguments, check, parameters_of
from pipeline.applying.page import SAMPLE, write_page
from pipeline.applying.truth.asked import asked
from pipeline.base.errors import Problem, hear_interruptions
from pipeline.base.records import Applied, AppliedParameters

if TYPE_CHECKING:  # torch takes seconds to be imported
    from pipeline.applying.field import Regions
    from pipeline.applying.model import Chosen
    from pipeline.cluster.workers import Workers

__all__ = ["add_arguments", "run"]


def run(arguments: argparse.Namespace) -> None:
    hear_interruptions()
    check(arguments)
    from pipeline.applying.inputs import find_slides

    truth = asked(arguments)
    slides = find_slides(arguments.inputs, arguments.out)  # before torch is imported, which takes seconds
    from pipeline.applying.field import Regions
    from pipeline.applying.folder import folders_of
    from pipeline.applying.spread import workers_for
    from pipeline.applying.truth.work import Done, compare, plan

    models = [chosen(arguments, name) for name in (arguments.model, *arguments.also)]
    folders = folders_of(arguments.out, models)
    planned = None if truth is None else plan(models, slides, truth, arguments.out)
    regions = None if arguments.regions is None else Regions(arguments.regions)
    results, pages, failed = [], list[tuple[Path, Applied, tuple[str, ...]]](), dict[str, str]()
    with workers_for(arguments, len(slides), arguments.out) as hands:
        for (title, out), model in zip(folders.items(), models, strict=True):
            applied, kinds = apply_model(arguments, model, slides, out, regions, hands)
            pages.append((out / "index.html", applied, kinds))
            results.append(Done(model, title, out, applied.parameters, [slide.name for slide in applied.slides]))
            failed |= applied.failed
    if planned is not None:
        compare(planned, results, slides, regions, arguments.out)
        for page, applied, kinds in pages:
            write_page(page, applied, kinds, truth=os.path.relpath(arguments.out / "truth.md", page.parent))
    if failed:
        raise Problem(f"{len(failed)} of {len(slides)} slides failed, as said above: {', '.join(failed)}.")
    if planned is not None and planned.failed:
        names = ", ".join(planned.failed)
        raise Problem(f"{len(planned.failed)} of {len(slides)} slides could not be compared, as said above: {names}.")


def apply_model(
    arguments: argparse.Namespace,
    model: "Chosen",
    slides: Mapping[str, Path],
    out: Path,
    regions: "Regions | None",
    hands: "Workers | None",
) -> tuple[Applied, tuple[str, ...]]:
    """Apply a model to all slides, and write run.json, summary.csv and index.html beside their results.

    Args:
        hands: that do it; None for this process.

    Returns:
        What run.json says, and what the names of a slide's results end in.

    Raises:
        Problem: no slide could be done.
    """
    from pipeline.applying.folder import alone
    from pipeline.applying.here import Asked, Here, task_of
    from pipeline.applying.results import summarise
    from pipeline.applying.spread import Spread

    started = time.monotonic()
    record = model.record
    wanted = Asked(model, arguments.tile_size, arguments.engine, arguments.batch, regions, arguments.ome_tiff)
    worker = Here(wanted) if hands is None else Spread(hands, wanted, arguments.stages_a_gpu)
    parameters = parameters_of(arguments, model, worker.engine, regions)
    announce(model, parameters, len(slides))
    with alone(out, model.sha256, parameters):
        done, failed = worker.apply_to_all(slides, out, parameters)
        if not done:
            raise Problem(f"none of {len(slides)} slide(s) could be done, as said above.")
        summarise(out / "summary.csv", {each.name: out / f"{each.name}.csv" for each in done})
        applied = Applied(
            weights=str(model.folder),
            weights_sha256=model.sha256,
            model=record,
            licence=record.licence,
            parameters=parameters,
            batch=arguments.batch,
            device=worker.device,
            engine_difference=worker.difference,
            versions={name: importlib.metadata.version(name) for name in ("lobule", "torch", "onnxruntime")}
            | {"python": platform.python_version()},
            slides=done,
            failed=failed,
            seconds=round(time.monotonic() - started, 1),
            peak_memory=worker.peak(),
        )
        applied.write(out / "run.json")
        kinds = task_of(wanted, parameters).kinds
        write_page(out / "index.html", applied, kinds)
    print(f"{out}: {len(done)} slide(s), at most {applied.peak_memory / 1e9:.2f} GB of memory.")
    return applied, kinds


def chosen(arguments: argparse.Namespace, name: str) -> "Chosen":
    """A model that is asked for, with the score that is.

    Raises:
        Problem: there is none, or an option is of models of another task.
    """
    from pipeline.applying.model import choose

    model = choose(name, arguments.of_run, arguments.seed, arguments.instances, arguments.minimum_size)
    asked = [name for name in ("points", "parquet") if getattr(arguments, name)]
    if asked and model.instances is None and model.record.task != "detection":
        cure = ", or give --instances watershed" if model.record.task == "segmentation" else ""
        raise Problem(f"{model.folder} finds no nuclei so; leave --{asked[0]} out{cure}.")
    if arguments.ome_tiff and model.record.task != "segmentation":
        raise Problem(f"{model.folder} is a model of the task {model.record.task}: no class map; leave --ome-tiff out.")
    if arguments.engine == "onnx" and model.record.task == "detection":
        raise Problem(f"{model.folder} is a Mask R-CNN, which torch runs; leave --engine out.")
    return model if arguments.score is None else model.with_score(arguments.score)


def announce(model: "Chosen", parameters: AppliedParameters, slides: int) -> None:
    """Say what is used, and what it will find."""
    record = model.record
    what = {"detection": f"nuclei of a score from {model.detections.score:g}", "tiles": "tiles"}.get(record.task)
    what = what or ("areas" if model.instances is None else f"nuclei by {model.instances.method}")
    size = parameters.tile_size
    print(
        f"{model.folder} ({record.study}, {record.variant}) at {record.microns_per_pixel:g} um/px, tiles of {size} px,"
    )
    print(f"finds {what} in {slides} slide(s), by {parameters.engine}; its licence: {record.licence}.", flush=True)
    if record.sample:
        print(SAMPLE, flush=True)
