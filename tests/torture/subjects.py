"""What is read from outside, each with a small valid input and the call that reads it, in `tests.torture.reading`."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.records import Record
from tests.records import RECORDS
from tests.torture import own

ROOT = Path(__file__).parents[2]
SAMPLES: dict[str, dict[str, Any]] = {  # the smallest that is drawn of each data set
    "pannuke": {"tile_size": 64, "tiles_per_fold": 4, "breast_share": 0.75},
    "tnbc": {"tile_size": 64, "share": 0.02},
    "monuseg": {"tile_size": 128, "images": 1},
    "bcss": {"height": 224, "regions": 3},
    "bach": {"width": 128, "images": 2},
    "bracs": {"size": 1024},
}


@dataclass(frozen=True)
class Subject:
    """A kind of input."""

    name: str
    make: Callable[[Path], object]  # writes a valid input into a folder
    read: Callable[[Path, Path], object]  # reads it from there; what it writes goes into the second folder
    files: str = "**/*"  # which of its files are mutated
    torch: bool = False  # whether reading it needs torch, which takes up memory of its own


def draw(name: str, folder: Path) -> None:
    """Draw the sample of a data set, and leave the least of it that is a whole one."""
    from pipeline import datasets
    from pipeline.base.schema import parse

    settings = parse(datasets.load_card(name).sample, SAMPLES[name], name)
    datasets.load_drawing(name).draw(folder, 7, settings)
    slides = sorted(folder.rglob("*.svs")) + sorted(folder.rglob("*.tif"))
    if name == "bracs":
        for slide in slides[1:]:
            for path in folder.rglob(f"{slide.stem}*"):
                path.unlink()
    if name == "pannuke":
        for path in [*folder.glob("*old*2*"), *folder.glob("*old*3*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def zipped(name: str, folder: Path) -> None:
    """The same, inside a zip."""
    draw(name, folder / "unpacked")
    shutil.make_archive(str(folder / "data"), "zip", folder / "unpacked")
    shutil.rmtree(folder / "unpacked")


def convert(name: str, folder: Path, out: Path) -> None:
    """Find the parts of a data set and write their shards."""
    from pipeline import datasets
    from pipeline.base.params import Tiling
    from pipeline.stages.convert import write_shard
    from pipeline.tiles.store import ShardInfo

    card = datasets.load_card(name)
    info = ShardInfo(name, card.classes, card.microns_per_pixel, card.magnification, "own", "0" * 64, "", "", "")
    if card.slides:
        tiling = Tiling(tile_size=64, stride=64)
        parts = datasets.load_slide_reader(name).find(folder, tiling)
    else:
        parts = datasets.load_reader(name).find(folder)
    for part in parts:
        write_shard(part, out / f"{part.name}.h5", info)


def of_data_set(title: str, name: str, files: str = "**/*") -> Subject:
    return Subject(title, lambda folder: draw(name, folder), lambda folder, out: convert(name, folder, out), files)


def of_record(record: Record) -> Subject:
    """A JSON between stages, without the checksum that would tell of every change."""

    def make(folder: Path) -> None:
        (folder / "record.json").write_text(record.model_dump_json(indent=2))

    return Subject(f"{type(record).__name__} (JSON)", make, lambda folder, _: type(record).read(folder / "record.json"))


def of_own(title: str) -> Subject:
    """Data of one's own, in a project that lies in the folder that is written."""
    make, words, files = own.KINDS[title]
    return Subject(title, make, lambda folder, out: own.read(folder, out, words), files)


def copied(path: Path, to: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / to)

    return make


def read_project(folder: Path, out: Path) -> object:
    from pipeline.base.params import read_params

    return read_params(folder / "params.yaml")


def read_study(folder: Path, out: Path) -> object:
    from pipeline.base.study import read_study

    return read_study("bracs", folder)


def make_table(suffix: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        import pandas as pd

        rows = pd.DataFrame(
            {"WSI Filename": ["BRACS_1", "BRACS_2"], "Patient Id": ["7", "8"], "Set": ["Training", "Testing"]}
        )
        path = folder / f"table.{suffix}"
        rows.to_csv(path, index=False) if suffix == "csv" else rows.to_excel(path, index=False)

    return make


def read_table(folder: Path, out: Path) -> object:
    from pipeline.datasets.bracs.table import read_table

    return read_table(next((path for path in sorted(folder.iterdir()) if path.suffix), folder / "gone.csv"))


def make_plan(folder: Path) -> None:
    import pandas as pd

    from pipeline.tiles.plan import COLUMNS, write_plan

    rows = [
        ["bracs", f"s{n}", n, f"p{n}", f"s{n}", 0, 64, 0.25, side, 0, "{}"] for n, side in enumerate(["train", "test"])
    ]
    write_plan(pd.DataFrame(rows, columns=list(COLUMNS)), folder / "plan.csv")


def read_plan(folder: Path, out: Path) -> object:
    from pipeline.tiles.plan import check_plan, read_plan

    return check_plan(read_plan(folder / "plan.csv"))


def small_model() -> Any:
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def make_weights(folder: Path) -> None:
    from pipeline.models.weights import save

    save(small_model(), folder / "model.safetensors")


def read_weights(folder: Path, out: Path) -> object:
    from pipeline.models.weights import load

    return load(small_model(), folder / "model.safetensors")


def make_checkpoint(folder: Path) -> None:
    import torch

    torch.save({"state_dict": small_model().state_dict()}, folder / "encoder.pth")


def read_checkpoint(folder: Path, out: Path) -> object:
    from torch import nn

    from pipeline.models.weights import initialise

    model = nn.Sequential()
    model.add_module("encoder", small_model())
    return initialise(model, "resnet18", str(folder / "encoder.pth"))


SUBJECTS = [
    of_data_set("PanNuke (npy)", "pannuke"),
    of_data_set("TNBC (PNG)", "tnbc"),
    of_data_set("MoNuSeg (TIFF, XML)", "monuseg"),
    of_data_set("BCSS (PNG)", "bcss"),
    of_data_set("BACH (TIFF, CSV)", "bach"),
    of_data_set("BRACS (slide)", "bracs", "**/*.[st][vi]*"),
    of_data_set("BRACS (GeoJSON)", "bracs", "**/*.geojson"),
    Subject(
        "MoNuSeg (zip)", lambda folder: zipped("monuseg", folder), lambda folder, out: convert("monuseg", folder, out)
    ),
    *map(of_own, own.KINDS),
    Subject("table (csv)", make_table("csv"), read_table),
    Subject("table (xlsx)", make_table("xlsx"), read_table),
    Subject("params.yaml", copied(ROOT / "params.yaml", "params.yaml"), read_project),
    Subject(
        "params.yaml of a study", copied(ROOT / "studies/bracs/params.yaml", "studies/bracs/params.yaml"), read_study
    ),
    Subject("plan (csv)", make_plan, read_plan),
    *(of_record(record) for record in RECORDS),
    Subject("weights (safetensors)", make_weights, read_weights, torch=True),
    Subject("first weights (pth)", make_checkpoint, read_checkpoint, torch=True),
]
