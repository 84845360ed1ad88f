"""Put a data set's tiles into the tile store.

In: `data/raw/<dataset>/SOURCE.json`, which says where the files lie, and how params.yaml has slides cut
(`datasets.<name>.tiling`). Out: `data/tiles/<dataset>/<shard>.h5`, one shard a part of the data set; beside those of
slides an index of all tiles and a contact sheet. Tiles are streamed, so memory grows with neither.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from pipeline import datasets
from pipeline.base.errors import Problem, run_stage
from pipeline.base.files import replacing
from pipeline.base.params import Tiling, read_params
from pipeline.base.paths import RAW, TILES
from pipeline.base.records import Source
from pipeline.datasets import Part, SlidePart
from pipeline.tiles.store import ShardInfo, ShardWriter


def main() -> None:
    parser = argparse.ArgumentParser(description="Put a data set's tiles into the tile store.")
    parser.add_argument("dataset")
    name = parser.parse_args().dataset
    convert(name, RAW / name / "SOURCE.json", TILES / name, read_params().dataset(name).tiling)


def convert(name: str, record_path: Path, tiles: Path, tiling: Tiling | None = None) -> None:
    """Convert the data set that `record_path` describes; the folder `tiles` is replaced as a whole, or not at all.

    Args:
        tiling: how to cut slides, for data sets that are made of them.

    Raises:
        Problem: a part cannot be used. The others are tried before, so that all problems are told at once.
    """
    card = datasets.load_card(name)
    download = f"{'download' if name in datasets.names() else 'download-own'}@{name}"
    if not record_path.is_file():
        raise Problem(f"{record_path} is not there; run `dvc repro {download}`.")
    record = Source.read(record_path)
    folder = Path(record.folder)
    recorded = {folder / file.name: file.bytes for file in record.files}
    cure = f"run `dvc repro -f {download}`"
    check_unchanged(recorded, cure)
    if tiling is None:
        parts = datasets.load_reader(name).find(folder)
    else:
        parts = datasets.load_slide_reader(name).find(folder, tiling)
    for path in (path for part in parts for path in part.files):
        if path not in recorded:
            raise Problem(f"{path} is new since the data set was recorded; {cure}.")
    info = ShardInfo(
        dataset=name,
        classes=card.classes,
        microns_per_pixel=card.microns_per_pixel,
        magnification=card.magnification,
        source=record.source,
        source_sha256=record.sha256,
        licence=record.licence,
        licence_url=record.licence_url,
        citation=record.citation,
    )
    problems = []
    with replacing(tiles) as temporary:
        for part in parts:
            try:
                write_shard(part, temporary / f"{part.name}.h5", info)
            except Problem as problem:
                print(f"{part.name}: {problem}")
                problems.append(str(problem))
        if problems:
            listed = "\n        ".join(problems)
            raise Problem(
                listed if len(parts) == 1 else f"{len(problems)} of {len(parts)} parts failed:\n        {listed}"
            )


def check_unchanged(recorded: dict[Path, int], cure: str) -> None:
    """Refuse files (path -> bytes) that are gone or no longer those whose checksums were recorded."""
    for path, size in recorded.items():
        if not path.is_file():
            raise Problem(f"{path} is gone since the data set was recorded; {cure}.")
        if path.stat().st_size != size:
            raise Problem(
                f"{path} has {path.stat().st_size:,} bytes and had {size:,} when the data set was recorded; {cure}."
            )


def write_shard(part: Part, path: Path, info: ShardInfo) -> None:
    """Write one part of the data set at its own resolution, and print what was in it.

    Beside the shard of a slide its index and pictures are written.
    """
    count = nuclei = overlap = conflict = 0
    slide = part if isinstance(part, SlidePart) else None
    try:
        pixel, magnification = part.resolution
        own = replace(info, microns_per_pixel=pixel, magnification=magnification)
        with (
            ShardWriter(path, part.count, part.tile_size, own, bits=slide is not None) as shard,
            tqdm(part.tiles(), desc=part.name, total=part.count, unit="tile", disable=None) as progress,
        ):
            for tile in progress:
                shard.add(tile)
                count += 1
                nuclei += len(tile.nuclei)
                overlap += tile.overlap
                conflict += tile.conflict
            if slide:
                shard.cut()
        if slide:
            slide.write_index(path.parent)
    finally:
        if slide:
            slide.close()
    print(
        f"{part.name}: {count:,} tiles, {nuclei:,} nuclei;"
        f" {overlap:,} px claimed by several {'lesions' if slide else 'nuclei'},"
        f" {conflict:,} px where the source contradicts itself"
    )


if __name__ == "__main__":
    run_stage(main)
