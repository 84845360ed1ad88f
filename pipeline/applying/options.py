"""What a person says on the command line of `lobule apply`: whether it makes sense, and the parameters of it."""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.applying.truth.asked import add_arguments as add_truth_arguments
from pipeline.base.errors import Problem
from pipeline.base.records import AppliedParameters
from pipeline.cluster.asked import add_arguments as add_cluster_arguments

if TYPE_CHECKING:  # torch takes seconds to be imported
    from pipeline.applying.field import Regions
    from pipeline.applying.model import Chosen

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
    parser.add_argument(
        "--ome-tiff", action="store_true", help="write <slide>.ome.tif, the class map as a pyramid, too"
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
    add_cluster_arguments(parser, "slides", "1")
    add_truth_arguments(parser)


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
