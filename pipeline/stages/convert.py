"""Put a data set's tiles into the tile store.

In: `data/raw/<dataset>/SOURCE.json`, which says where the files lie, and how params.yaml has slides cut
(`datasets.<name>.tiling`). Out: `data/tiles/<dataset>/<shard>.h5`, one shard a part of the data set; beside those of
slides an index of all tiles and a contact sheet. Tiles are streamed, so memory grows with neither. LOBULE_WORKERS has
several processes convert slides, one each (see pipeline.base.apart).
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from pipeline import datasets
from pipeline.base import apart
from pipeline.base.errors import Problem, run_stage
from pipeline.base.files import replacing
from pipeline.base.params import Tiling, read_params
from pipeline.base.paths import RAW, TILES
from pipeline.base.records import Source
from pipeline.base.slide_index import account, count_states
from pipeline.datasets import Card, Part, SlidePart
from pipeline.tiles.store import IGNORE, ShardInfo
from pipeline.tiles.writer import ShardWriter

OVERLAPPING = 9  # classes, the first one among them, of which a byte holds which overlap


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
    named, at_once = {part.name: part for part in parts}, apart.workers() if tiling else 1
    told: dict[str, str] = {}
    counted: dict[str, Counter[str]] = {}
    with replacing(tiles) as temporary:

        def write(part: Part) -> tuple[Counter[str], Counter[str]]:
            counts = write_shard(part, temporary / f"{part.name}.h5", info, at_once == 1)
            return counts, Counter(part.left_out) if isinstance(part, SlidePart) else Counter()

        for title, found in apart.each(named, write, at_once):
            if isinstance(found, Problem):
                print(f"{title}: {found}")
                told[title] = str(found)
                continue
            counted[title], left_out = found
            if isinstance(part := named[title], SlidePart):  # which another process may have read
                part.left_out.clear()
                part.left_out.update(left_out)
        problems = [told[title] for title in named if title in told]
        written = {title: counted[title] for title in named if title in counted}
        if problems:
            listed = "\n        ".join(problems)
            raise Problem(
                listed if len(parts) == 1 else f"{len(problems)} of {len(parts)} parts failed:\n        {listed}"
            )
        check_used(card, folder, parts, written)


def check_unchanged(recorded: dict[Path, int], cure: str) -> None:
    """Refuse files (path -> bytes) that are gone or no longer those whose checksums were recorded."""
    for path, size in recorded.items():
        if not path.is_file():
            raise Problem(f"{path} is gone since the data set was recorded; {cure}.")
        if path.stat().st_size != size:
            raise Problem(
                f"{path} has {path.stat().st_size:,} bytes and had {size:,} when the data set was recorded; {cure}."
            )


def check_used(card: Card, folder: Path, parts: Sequence[Part], written: dict[str, Counter[str]]) -> None:
    """Refuse a data set of which nothing is used, and tell which of its parts gave nothing.

    A slide without a lesion is a slide like any other; a data set without one is mostly one whose classes have other
    names. Lesion-free tiles are used where `tiling.at_least` asks for them.

    Args:
        written: what `write_shard` counted, by part.
    """
    total = sum(written.values(), Counter[str]())
    empty = [name for name, counts in written.items() if not counts["tiles"]]
    if empty and total["tiles"]:
        print(
            f"{len(empty)} of {len(written)} parts have no tile: {', '.join(empty[:10])}{', ...' * (len(empty) > 10)}"
        )
    if card.slides and not total["lesions"]:
        held = sum((part.left_out for part in parts if isinstance(part, SlidePart)), Counter[str]())
        listed = ", ".join(f"{what} ({count:,})" for what, count in held.most_common(10)) or "nothing"
        none = (
            f"none of the classes {', '.join(card.classes[1:])} is on a tile of {folder}; its annotations hold {listed}"
        )
        if not total["tiles"]:
            raise Problem(
                f"{none}; correct the classes in QuPath, or set tiling.at_least in params.yaml to use tiles without."
            )
        print(f"WARNING: {none}.")
    elif not total["tiles"]:
        raise Problem(f"{folder} gives no tile of {card.title}; look at its files.")
    elif card.nuclei and not card.slides and card.classes[0] == "background" and not total["nuclei"]:
        raise Problem(
            f"no nucleus is in the {total['tiles']:,} tiles of {folder}; look at the masks or outlines there."
        )


def write_shard(part: Part, path: Path, info: ShardInfo, bar: bool = True) -> Counter[str]:
    """Write one part of the data set at its own resolution, and print what was in it; tiles, nuclei and so on.

    Beside the shard of a slide its index and pictures are written.

    Args:
        bar: whether a terminal shows how far it is.
    """
    counts: Counter[str] = Counter()
    slide = part if isinstance(part, SlidePart) else None
    overlapping = len(info.classes) <= OVERLAPPING
    try:
        pixel, magnification = part.resolution
        own = replace(info, microns_per_pixel=pixel, magnification=magnification)
        with (
            ShardWriter(path, part.count, part.tile_size, own, bits=slide is not None and overlapping) as shard,
            tqdm(part.tiles(), desc=part.name, total=part.count, unit="tile", disable=None if bar else True) as tiles,
        ):
            for tile in tiles:
                shard.add(tile)
                counts["tiles"] += 1
                counts["nuclei"] += len(tile.nuclei)
                counts["lesions"] += slide is not None and bool((tile.class_map % IGNORE).any())
                counts["overlap"] += tile.overlap
                counts["conflict"] += tile.conflict
            if slide:
                shard.cut()
        if slide:
            slide.write_index(path.parent)
            print(f"{part.name}: {account(count_states(path.parent / f'{part.name}.csv'))}")
    finally:
        if slide:
            slide.close()
    print(
        f"{part.name}: {counts['tiles']:,} tiles, {counts['nuclei']:,} nuclei;"
        f" {counts['overlap']:,} px claimed by several {'lesions' if slide else 'nuclei'},"
        f" {counts['conflict']:,} px where the source contradicts itself"
    )
    return counts


if __name__ == "__main__":
    run_stage(main)
