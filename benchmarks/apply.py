"""Speed and memory of `lobule apply`'s work on a slide, beside a plain loop over the same tiles.

    python -m benchmarks.apply [FOLDER] [--side PX] [--nuclei N] [--encoder NAME] [--plain] [--valid] [--engine NAME]
    python -m benchmarks.apply --plain --peer ENVIRONMENT/bin/python    # an environment with tiatoolbox
    python -m benchmarks.apply --side 40000 --nuclei 500000 --encoder colour    # ten minutes or more: memory alone
    python -m benchmarks.apply --side 40000 --nuclei 500000 --by-colour    # the network, too: half an hour or more

Draws a slide (JPEG tiles, 0.25 um/px) with nuclei of two classes under FOLDER (or a temporary folder), and applies a
U-Net with random weights to it in a child process; `--plain` reads, predicts and sorts the same tiles one batch after
the other in another child, with torch's defaults and neither blending nor outlines. `--peer` has tiatoolbox's engine
make a class map of the same slide with the same network (benchmarks/apply_peer.py). `colour` is no network, but reads
the classes off the colours, so that what is not the network can be measured on a large slide; with `--by-colour` the
network works as ever, and then its classes are those of the colours, since it was not trained. Prints seconds a mm2 of
each, of the clock and of all cores' work, their ratios, and the most memory that each process had. A busy machine slows
the clock; the cores' work says what an idle one would do.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

ROOT = Path(__file__).resolve().parents[1]
NETWORK = "network.pt"
TILE = 512  # px, of the TIFF
MICRONS = 0.25
CLASSES = ("background", "one", "two")
COLOURS = np.array([(235, 220, 230), (130, 60, 150), (60, 40, 110)], np.uint8)
SEEN, OVERLAP, BATCH = 512, 64, 8  # px of the model's tiles and of their overlap, as of TNBC's recipe; tiles at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where the slide and the results go")
    parser.add_argument("--side", type=int, default=2048, help="px of the slide")
    parser.add_argument("--nuclei", type=int, default=1500)
    parser.add_argument("--encoder", default="timm-tf_efficientnet_lite0", help="colour: no network")
    parser.add_argument("--by-colour", action="store_true", help="classes of the colours after the network's work")
    parser.add_argument("--plain", action="store_true", help="measure the plain loop, too")
    parser.add_argument("--peer", metavar="PYTHON", help="measure tiatoolbox, too: the Python of where it is installed")
    parser.add_argument("--ome-tiff", action="store_true", help="write the class map as a pyramid, too")
    parser.add_argument("--valid", action="store_true", help="look at every outline")
    parser.add_argument("--engine", help="torch or onnx; as `lobule apply` chooses if not given")
    parser.add_argument("--child", choices=["apply", "plain", "trace"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child == "trace":
        trace(arguments.folder / NETWORK, arguments.encoder)
        return
    if arguments.child:
        measure(arguments)
        return
    if arguments.peer and arguments.encoder == "colour":
        parser.error("--peer takes a network, and `colour` is none; leave one of them out")
    if arguments.peer and not has_peer(arguments.peer):
        parser.error(f"{arguments.peer} has no tiatoolbox; make a virtual environment, `pip install tiatoolbox` there")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        drawn = write_slide(folder / "slide.tif", arguments.side, arguments.nuclei)
        area = (arguments.side * MICRONS / 1000) ** 2
        print(f"{arguments.side:,} x {arguments.side:,} px, {drawn:,} nuclei, {area:.2f} mm2, {arguments.encoder}")
        found = {}
        child = [sys.executable, "-m", "benchmarks.apply", name, "--encoder", arguments.encoder, "--child"]
        own = [] if arguments.engine is None else ["--engine", arguments.engine]
        own += ["--ome-tiff"] * arguments.ome_tiff + ["--by-colour"] * arguments.by_colour
        commands = {"apply": [*child, "apply", *own]}
        if arguments.plain:
            commands["plain"] = [*child, "plain"]
        if arguments.peer:
            subprocess.run([*child, "trace"], cwd=ROOT, check=True)
            paths = [str(folder / each) for each in ("slide.tif", NETWORK, "peer")]
            told = map(str, (SEEN, SEEN - OVERLAP, BATCH, MICRONS))
            commands["tiatoolbox"] = [arguments.peer, "-m", "benchmarks.apply_peer", *paths, *told]
        for kind, command in commands.items():
            done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
            found[kind] = json.loads(done.stdout.splitlines()[-1])
            seconds, peak = found[kind]["seconds"], found[kind]["peak"] / 2**20
            told = f"{found[kind]['nuclei']:,} nuclei, " if kind == "apply" else ""
            work = f"{found[kind]['work'] / area:.1f} s of a core"
            print(f"{kind}: {seconds:.1f} s, {seconds / area:.1f} s/mm2 ({work}), {told}{peak:,.0f} MiB", flush=True)
        if arguments.valid:
            print(f"of {count_outlines(folder / 'out/slide.geojson')}", flush=True)
    for kind in list(found)[1:]:
        ratio, work = (found[kind][key] / found["apply"][key] for key in ("seconds", "work"))
        print(f"{kind} takes {ratio:.2f} times as long as apply, and {work:.2f} times the work")


def write_slide(path: Path, side: int, nuclei: int) -> int:
    """A slide of one drawn square over and over; how many nuclei it has, about."""
    rng = np.random.default_rng(0)
    across = max(1, round(np.sqrt(nuclei) * TILE / side))
    pitch = TILE / across
    square = np.zeros((TILE, TILE), np.uint8)
    rows, columns = np.mgrid[:TILE, :TILE]
    for row, column in np.ndindex(across, across):
        y, x = (np.array([row, column]) + 0.5) * pitch + rng.uniform(-0.1, 0.1, 2) * pitch
        a, b = rng.uniform(0.2, 0.35, 2) * min(pitch, 40)
        square[((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 <= 1] = rng.integers(1, 3)
    pixels = np.clip(COLOURS[square].astype(int) + rng.integers(-8, 9, (TILE, TILE, 3)), 0, 255).astype(np.uint8)
    in_row = -(-side // TILE)
    count = in_row**2

    def tiles() -> Iterator[npt.NDArray[np.uint8]]:
        for _ in range(count):
            yield pixels

    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(
            tiles(),
            shape=(side, side, 3),
            dtype=np.uint8,
            tile=(TILE, TILE),
            photometric="rgb",
            compression="jpeg",
            resolution=(1e4 / MICRONS,) * 2,
            resolutionunit="CENTIMETER",
            metadata=None,
        )
    return round(across**2 * (side / TILE) ** 2)


def count_outlines(path: Path) -> str:
    """How many of a GeoJSON's outlines are valid polygons, by shapely."""
    import shapely

    from pipeline.applying.results import read_lines

    count = wrong = 0
    for line in read_lines(path):
        count += 1
        wrong += not shapely.geometry.shape(json.loads(line)["geometry"]).is_valid
    return f"{count:,} outlines {wrong:,} are no valid polygons"


def has_peer(python: str) -> bool:
    """Whether an interpreter is there and finds tiatoolbox."""
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('tiatoolbox') is None)"
    try:
        return subprocess.run([python, "-c", look], check=False).returncode == 0
    except OSError:
        return False


def trace(path: Path, encoder: str) -> None:
    """Write the network of the plain loop, up to its logits, as TorchScript."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch has newer formats, which the peer does not take
        traced = torch.jit.trace(build(encoder), torch.zeros((1, SEEN, SEEN, 3), dtype=torch.uint8), check_trace=False)
    traced.save(path)


def measure(asked: argparse.Namespace) -> None:
    """Print seconds and the most memory of one way, as JSON."""
    predict, network = make(asked.encoder, asked.engine)
    (network if asked.child == "plain" else predict)(
        np.zeros((BATCH, SEEN, SEEN, 3), np.uint8)
    )  # what is done once: in neither

    def both(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
        predict(images)
        return by_colour(images)

    started, worked, nuclei = time.perf_counter(), time.process_time(), 0
    if asked.child == "plain":
        run_plainly(asked.folder, network)
    else:
        nuclei = run_apply(asked.folder, both if asked.by_colour else predict, asked.ome_tiff)
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "work": work, "peak": peak, "nuclei": nuclei}))


def make(encoder: str, engine: str | None) -> tuple[Any, Any]:
    """What `lobule apply` predicts with, and the bare network with torch's defaults."""
    if encoder == "colour":
        return by_colour, by_colour
    import torch

    from pipeline.applying.engine import choose_engine
    from pipeline.tasks.segmentation.predict import Predictor

    network = build(encoder)

    @torch.inference_mode()
    def plain(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        return network(torch.from_numpy(images)).softmax(1).argmax(1).numpy()

    device = torch.device("cpu")
    fast = Predictor(network.network, [0.5] * 3, [0.5] * 3).eval().to(device, memory_format=torch.channels_last)
    return choose_engine(fast, device, SEEN, engine).predict, plain


def build(encoder: str) -> Any:
    """A network that nobody trained, from images (B, H, W, 3) to logits."""
    import torch

    from pipeline import models
    from pipeline.tasks.segmentation.predict import Predictor

    torch.manual_seed(0)
    return Predictor(models.build(encoder, len(CLASSES), 16, [128, 64, 32, 16]), [0.5] * 3, [0.5] * 3).eval()


def by_colour(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Probability 1 of the class whose colour is nearest."""
    found = np.zeros((len(images), len(CLASSES), *images.shape[1:3]), np.uint16)
    for image, scores in zip(images, found, strict=True):
        green = image[..., 1]  # it tells the classes apart
        scores[0], scores[1], scores[2] = green >= 140, (green >= 50) & (green < 140), green < 50
    found *= 65535
    return found


def run_apply(folder: Path, predict: Any, ome_tiff: bool) -> int:
    from pipeline.applying.task import Task
    from pipeline.applying.work import apply_to
    from pipeline.base.records import AppliedParameters

    parameters = AppliedParameters(
        tile_size=SEEN,
        overlap=OVERLAP,
        background=0,
        flips=False,
        instances="watershed",
        minimum_size=10,
        score=None,
        microns_per_pixel=None,
        regions=None,
        gzip=False,
        points=False,
        parquet=False,
        engine="torch",
    )
    task = Task(predict, "0" * 64, CLASSES, MICRONS, False, parameters, None, BATCH, ome_tiff=ome_tiff)
    found = apply_to(folder / "slide.tif", "slide", folder / "out", task)
    return sum((found.nuclei or {}).values())


def run_plainly(folder: Path, network: Any) -> None:
    from pipeline.slides.slide import Slide

    with Slide(folder / "slide.tif") as slide:
        grid = slide.grid(SEEN, SEEN - OVERLAP, MICRONS)
        batch = []
        for number, (row, column) in enumerate(np.ndindex(grid.rows, grid.columns), start=1):
            image = np.full((SEEN, SEEN, 3), 255, np.uint8)
            part = slide.read(grid, column, row)
            image[: part.shape[0], : part.shape[1]] = part
            batch.append(image)
            if len(batch) == BATCH or number == grid.rows * grid.columns:
                network(np.stack(batch))
                batch = []


if __name__ == "__main__":
    main()
