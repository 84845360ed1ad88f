"""Use a trained model on slides: `lobule apply STUDY/VARIANT-PLAN SLIDE ... --out DIR`.

    lobule apply pannuke/resnet50-augmented slide.svs --out results
    lobule apply models/bracs/run1/seed42/resnet34-plain/weights slides/ --out results

In:  a model that was trained here, or its weights folder; slides, pictures, folders of them.
Out: <slide>.geojson for QuPath, <slide>.csv, <slide>.png; run.json, summary.csv and index.html over all; with --truth
     truth.md, how well it holds. In DIR/.lobule lies how far it came: a call that was killed goes on from there.
"""

import argparse
import hashlib
import importlib.metadata
import platform
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.applying.truth.asked import add_arguments as add_truth_arguments
from pipeline.applying.truth.asked import asked
from pipeline.base.errors import Problem
from pipeline.base.records import Applied, AppliedParameters, AppliedSlide

if TYPE_CHECKING:  # torch takes seconds to be imported
    import torch

    from pipeline.applying.engine import Engine
    from pipeline.applying.field import Regions
    from pipeline.applying.model import Chosen
    from pipeline.applying.task import Detect, Task

OVERLAP, WIDEST = 0.25, 64  # part of a tile, and px at most where none is given
BACKGROUND = 12.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", help="STUDY/VARIANT-PLAN, as in reports/STUDY/scores.csv, or a folder"
    )
    parser.add_argument("inputs", metavar="INPUT", nargs="+", type=Path, help="a slide, a picture, or a folder of them")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the results go")
    parser.add_argument(
        "--run", dest="of_run", metavar="RUN", type=int, help="of the variant (default: the study's first)"
    )
    parser.add_argument("--seed", type=int, help="of the variant (default: the study's first)")
    parser.add_argument(
        "--microns-per-pixel", type=float, metavar="UM", help="of the slides, where they tell none or lie"
    )
    parser.add_argument("--regions", type=Path, metavar="FILE", help="GeoJSON: only what lies in its areas counts")
    parser.add_argument("--instances", metavar="METHOD", help="watershed or components: nuclei; none: areas")
    parser.add_argument(
        "--minimum-size", type=int, default=10, metavar="PX", help="of nuclei, with --instances (%(default)s)"
    )
    parser.add_argument(
        "--score", type=float, metavar="PART", help="that a detector is sure of a nucleus, at least (as its study says)"
    )
    parser.add_argument(
        "--tile-size", type=int, metavar="PX", help="what the model sees at once (default: as in training)"
    )
    parser.add_argument(
        "--overlap", type=float, metavar="PART", help=f"of a tile (default: {OVERLAP}, {WIDEST} px at most)"
    )
    parser.add_argument(
        "--background", type=float, default=BACKGROUND, metavar="SD", help="of RGB, below it is glass; 0: all"
    )
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="tiles at once (default: %(default)s)")
    parser.add_argument("--gzip", action="store_true", help="write <slide>.geojson.gz in place of <slide>.geojson")
    parser.add_argument(
        "--points", action="store_true", help="write <slide>.points.geojson, the middles of nuclei, too"
    )
    parser.add_argument("--parquet", action="store_true", help="write <slide>.nuclei.parquet, a row a nucleus, too")
    parser.add_argument(
        "--engine", metavar="NAME", help="torch or onnx (default: onnx on a CPU where both agree, else torch)"
    )
    parser.add_argument(
        "--also",
        metavar="MODEL",
        action="append",
        default=[],
        help="another one, into a folder in --out; may be given often",
    )
    add_truth_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    check(arguments)
    from pipeline.applying.inputs import find_slides

    truth = asked(arguments)
    slides = find_slides(arguments.inputs, arguments.out)  # before torch is imported, which takes seconds
    from pipeline.applying.field import Regions
    from pipeline.applying.folder import folders_of
    from pipeline.applying.truth.work import Done, compare, plan

    models = [chosen(arguments, name) for name in (arguments.model, *arguments.also)]
    folders = folders_of(arguments.out, models)
    planned = None if truth is None else plan(models, slides, truth, arguments.out)
    regions = None if arguments.regions is None else Regions(arguments.regions)
    results, failed = [], dict[str, str]()
    for (title, out), model in zip(folders.items(), models, strict=True):
        applied = apply_model(arguments, model, slides, out, regions)
        results.append(Done(model, title, out, applied.parameters, [slide.name for slide in applied.slides]))
        failed |= applied.failed
    if planned is not None:
        compare(planned, results, slides, regions, arguments.out)
    if failed:
        raise Problem(f"{len(failed)} of {len(slides)} slides failed, as said above: {', '.join(failed)}.")
    if planned is not None and planned.failed:
        names = ", ".join(planned.failed)
        raise Problem(f"{len(planned.failed)} of {len(slides)} slides could not be compared, as said above: {names}.")


def apply_model(
    arguments: argparse.Namespace, model: "Chosen", slides: Mapping[str, Path], out: Path, regions: "Regions | None"
) -> Applied:
    """Apply a model to all slides, and write run.json, summary.csv and index.html beside their results.

    Raises:
        Problem: no slide could be done.
    """
    import torch

    from pipeline.applying.folder import alone
    from pipeline.applying.page import write_page
    from pipeline.applying.results import summarise
    from pipeline.applying.task import BLOCK, MANY, Task

    started = time.monotonic()
    record = model.record
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    engine, detect = network(model, device, arguments)
    parameters = parameters_of(arguments, model, engine.name, regions)
    announce(model, parameters, len(slides))
    with alone(out, model.sha256, parameters):
        task = Task(
            engine.predict,
            model.sha256,
            record.classes,
            record.microns_per_pixel,
            record.greyscale,
            parameters,
            regions,
            arguments.batch,
            kind=record.task,
            detect=detect,
            block=BLOCK if len(record.classes) <= MANY else BLOCK // 2,
        )
        done, failed = apply_to_all(slides, out, task)
        if not done:
            raise Problem(f"none of {len(slides)} slide(s) could be done, as said above.")
        summarise(out / "summary.csv", {each.name: out / f"{each.name}.csv" for each in done})
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        applied = Applied(
            weights=str(model.folder),
            weights_sha256=model.sha256,
            model=record,
            licence=record.licence,
            parameters=parameters,
            batch=arguments.batch,
            device=torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
            engine_difference=engine.difference,
            versions={name: importlib.metadata.version(name) for name in ("lobule", "torch", "onnxruntime")}
            | {"python": platform.python_version()},
            slides=done,
            failed=failed,
            seconds=round(time.monotonic() - started, 1),
            peak_memory=peak,
        )
        applied.write(out / "run.json")
        write_page(out / "index.html", applied, task.kinds)
    print(f"{out}: {len(done)} slide(s), at most {peak / 1e9:.2f} GB of memory.")
    return applied


def chosen(arguments: argparse.Namespace, name: str) -> "Chosen":
    """A model that is asked for, with the score that is.

    Raises:
        Problem: there is none, or an option is of models of another task.
    """
    from pipeline.applying.model import choose

    model = choose(name, arguments.of_run, arguments.seed, arguments.instances, arguments.minimum_size)
    asked = [name for name in ("points", "parquet") if getattr(arguments, name)]
    if asked and model.instances is None and model.record.task != "detection":
        raise Problem(f"{model.folder} finds no nuclei so; leave --{asked[0]} out, or give --instances watershed.")
    if arguments.engine == "onnx" and model.record.task == "detection":
        raise Problem(f"{model.folder} is a Mask R-CNN, which torch runs; leave --engine out.")
    return model if arguments.score is None else model.with_score(arguments.score)


def network(model: "Chosen", device: "torch.device", arguments: argparse.Namespace) -> "tuple[Engine, Detect | None]":
    """What predicts, and what finds nuclei where the model is a detector.

    Raises:
        Problem: the weights cannot be loaded, or the engine that is asked for cannot run them.
    """
    from pipeline.applying.engine import Engine, choose_engine
    from pipeline.applying.model import detector, network_of

    if model.record.task == "detection":
        return Engine(None, "torch", 0), detector(model, device)
    size = arguments.tile_size or model.record.tile_size
    return choose_engine(network_of(model, device), device, size, arguments.engine), None


def parameters_of(
    arguments: argparse.Namespace, model: "Chosen", engine: str, regions: "Regions | None"
) -> AppliedParameters:
    """All that the results depend on beside the model and the slides."""
    task, size = model.record.task, arguments.tile_size or model.record.tile_size
    overlap = min(round(size * OVERLAP), WIDEST) if arguments.overlap is None else round(size * arguments.overlap)
    return AppliedParameters(
        tile_size=size,
        overlap=0 if task == "tiles" else overlap,
        background=arguments.background,
        flips=model.flips,
        instances=model.instances and model.instances.method,
        minimum_size=model.instances.minimum_size if model.instances else 0,
        score=model.detections.score if task == "detection" else None,
        microns_per_pixel=arguments.microns_per_pixel,
        regions=None if regions is None else hashlib.sha256(regions.path.read_bytes()).hexdigest(),
        gzip=arguments.gzip,
        points=arguments.points,
        parquet=arguments.parquet,
        engine=engine,
    )


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
        print("It was trained on drawn tiles alone: what it finds on a real slide means nothing.", flush=True)


def apply_to_all(slides: Mapping[str, Path], out: Path, task: "Task") -> tuple[list[AppliedSlide], dict[str, str]]:
    """What was found in each slide, and why others failed, each told when it happens."""
    from pipeline.applying.work import apply_to

    done, failed = [], {}
    for name, path in slides.items():
        try:
            found = apply_to(path, name, out, task)
        except (Problem, OSError) as error:
            failed[name] = str(error)
            print(f"lobule: {name}: {error}", file=sys.stderr, flush=True)
            continue
        done.append(found)
        rate = found.square_millimetres / found.seconds if found.seconds else 0
        print(f"{name}: {found.square_millimetres:.3g} mm2 in {found.seconds:.1f} s ({rate:.3g} mm2/s)", flush=True)
    return done, failed


def check(arguments: argparse.Namespace) -> None:
    """Refuse what makes no sense.

    Raises:
        Problem: naming the option.
    """
    wrong = {
        "--overlap must be from 0 to 0.5": not 0 <= (arguments.overlap or 0) <= 0.5,
        "--score must be from 0 to 1": not 0 <= (arguments.score or 0) <= 1,
        "--engine must be torch or onnx": arguments.engine not in (None, "torch", "onnx"),
        "--batch must be at least 1": arguments.batch < 1,
        "--background must be 0 or more": not arguments.background >= 0,
        "--microns-per-pixel must be above 0 and below 10": arguments.microns_per_pixel is not None
        and not 0 < arguments.microns_per_pixel < 10,
        "--tile-size must be a multiple of 32 from 32 to 4096": (arguments.tile_size or 32) not in range(32, 4097, 32),
        "--minimum-size must be 0 or more": arguments.minimum_size < 0,
        "--instances must be watershed, components or none": arguments.instances
        not in (None, "watershed", "components", "none"),
        "--run must be 1 or more": arguments.of_run is not None and arguments.of_run < 1,
        f"--out is {arguments.out}, which is no folder": arguments.out.exists() and not arguments.out.is_dir(),
    }
    for what, is_wrong in wrong.items():
        if is_wrong:
            raise Problem(f"{what}; give another value.")
