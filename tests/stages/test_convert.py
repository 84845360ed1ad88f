"""The conversion keeps everything, replaces the store as a whole, and uses only files whose checksums are recorded."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import Problem
from pipeline.base.files import read_json
from pipeline.base.records import Source, SourceFile
from pipeline.datasets.pannuke.card import CARD
from pipeline.datasets.pannuke.reader import find
from pipeline.stages.convert import convert
from pipeline.tiles.store import Shard, shards
from tests.datasets.pannuke.test_reader import make_arrays, write_fold, zip_fold

ROOT = Path(__file__).parents[2]


def record(folder: Path, path: Path, source: str = "sample") -> Path:
    """What `download` leaves beside the data: every file of `folder` with its size."""
    files = [file for fold in find(folder) for file in fold.files]
    named = [
        SourceFile(name=file.relative_to(folder).as_posix(), bytes=file.stat().st_size, sha256="0" * 64)
        for file in files
    ]
    licence = {"licence": CARD.licence, "licence_url": CARD.licence_url, "citation": CARD.citation}
    Source(dataset=CARD.name, source=source, folder=str(folder), **licence, files=named, sha256="5" * 64).write(path)
    return path


def test_a_shard_holds_all_of_its_fold(tmp_path: Path) -> None:
    masks = make_arrays()["masks"]
    masks[1, 6:9, 1:5, 2] = 4  # over another nucleus
    masks[2, 0, 0, 5] = 0  # claimed by nothing
    raw = write_fold(write_fold(tmp_path / "raw", 3), 1, masks=masks)
    convert("pannuke", record(raw, tmp_path / "SOURCE.json"), tmp_path / "tiles/pannuke")
    assert [shard.path.name for shard in shards("pannuke", tmp_path / "tiles")] == ["fold1.h5", "fold3.h5"]
    shard = Shard(tmp_path / "tiles/pannuke/fold1.h5")
    table, nuclei = shard.table(), shard.nuclei()
    tiles = list(find(raw)[0].tiles())
    assert len(shard) == len(tiles) == len(table) == 3
    for index, tile in enumerate(tiles):
        np.testing.assert_array_equal(shard.image(index), tile.image)
        np.testing.assert_array_equal(shard.class_map(index), tile.class_map)
        np.testing.assert_array_equal(shard.instance_map(index), tile.instance_map)
        rows = nuclei[nuclei["tile"] == index]
        assert dict(zip(rows["id"], rows["class"], strict=True)) == tile.nuclei
    assert table["group"].tolist() == ["Breast", "Colon", "Bile-duct"]
    assert table["source_index"].tolist() == [0, 1, 2]
    assert table["overlap"].tolist() == [0, 12, 0]
    assert table["conflict"].tolist() == [0, 0, 1]
    assert set(table["patient"]) == set(table["slide"]) == {""}
    info = shard.info
    assert (info.dataset, info.classes, info.source, info.source_sha256) == (
        "pannuke",
        CARD.classes,
        "sample",
        "5" * 64,
    )
    assert (info.microns_per_pixel, info.magnification) == (0.25, 40.0)
    assert (info.licence, info.licence_url, info.citation) == (CARD.licence, CARD.licence_url, CARD.citation)


def test_it_says_what_it_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert("pannuke", record(write_fold(tmp_path / "raw"), tmp_path / "SOURCE.json"), tmp_path / "tiles")
    raw = tmp_path / "raw"
    assert capsys.readouterr().out.splitlines()[1:] == [  # the first is of the record
        f"{raw}: found 3 files = used 3 + left out 0",
        "fold1: 3 tiles, 9 nuclei; 0 px claimed by several nuclei, 0 px where the source contradicts itself",
    ]


def test_the_same_bytes_from_the_stage_from_here_and_from_a_zip(tmp_path: Path) -> None:
    raw = write_fold(tmp_path / "raw")
    record(raw, tmp_path / "data/raw/pannuke/SOURCE.json")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    command = [sys.executable, "-m", "pipeline.stages.convert", "pannuke"]
    subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    here = tmp_path / "here"
    convert("pannuke", tmp_path / "data/raw/pannuke/SOURCE.json", here)
    zipped = tmp_path / "zipped"
    convert("pannuke", record(zip_fold(raw).parent, tmp_path / "zip.json"), zipped)
    first = (tmp_path / "data/tiles/pannuke/fold1.h5").read_bytes()
    assert first == (here / "fold1.h5").read_bytes() == (zipped / "fold1.h5").read_bytes()


def test_a_bad_tile_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    raw = write_fold(tmp_path / "raw")
    tiles = tmp_path / "tiles"
    convert("pannuke", record(raw, tmp_path / "SOURCE.json"), tiles)
    before = (tiles / "fold1.h5").read_bytes()
    images = make_arrays()["images"]
    images[2, 0, 0, 0] = np.nan
    write_fold(raw, images=images)
    with pytest.raises(Problem, match=r"images.npy: tile 2 holds NaN"):
        convert("pannuke", tmp_path / "SOURCE.json", tiles)
    assert [path.name for path in tiles.iterdir()] == ["fold1.h5"]
    assert (tiles / "fold1.h5").read_bytes() == before
    assert not list(tmp_path.glob(".*partial"))


def test_a_data_set_without_a_nucleus_is_refused(tmp_path: Path) -> None:
    masks = np.zeros_like(make_arrays()["masks"])
    raw = write_fold(write_fold(tmp_path / "raw", 1, masks=masks), 2, masks=masks)
    source = record(raw, tmp_path / "SOURCE.json")
    with pytest.raises(Problem, match=rf"no nucleus is in the 6 tiles of {raw}; look at the masks"):
        convert("pannuke", source, tmp_path / "tiles")
    assert not (tmp_path / "tiles").exists()


def test_a_fold_that_has_left_leaves_the_store(tmp_path: Path) -> None:
    raw = write_fold(write_fold(tmp_path / "raw", 1), 2)
    convert("pannuke", record(raw, tmp_path / "SOURCE.json"), tmp_path / "tiles")
    (raw / "Fold 2").rename(tmp_path / "away")
    convert("pannuke", record(raw, tmp_path / "SOURCE.json"), tmp_path / "tiles")
    assert [path.name for path in (tmp_path / "tiles").iterdir()] == ["fold1.h5"]


def test_files_that_changed_since_the_record(tmp_path: Path) -> None:
    raw = write_fold(tmp_path / "raw")
    source = record(raw, tmp_path / "SOURCE.json", source=str(raw))
    cure = "run `dvc repro -f download@pannuke`"
    path = raw / "Fold 1/masks/fold1/masks.npy"
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    with pytest.raises(Problem, match=rf"masks.npy has .* bytes and had .*; {cure}"):
        convert("pannuke", source, tmp_path / "tiles")
    path.unlink()
    with pytest.raises(Problem, match=rf"masks.npy is gone .*; {cure}"):
        convert("pannuke", source, tmp_path / "tiles")
    path.write_bytes(content)
    write_fold(raw, 2)
    with pytest.raises(Problem, match=rf"Fold 2.* is new .*; {cure}"):
        convert("pannuke", source, tmp_path / "tiles")
    assert not (tmp_path / "tiles").exists()


def test_without_a_record(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"SOURCE.json is not there; run `dvc repro download@pannuke`"):
        convert("pannuke", tmp_path / "SOURCE.json", tmp_path / "tiles")


@pytest.mark.real
def test_the_real_fold(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "pannuke"
    convert("pannuke", record(folder, tmp_path / "SOURCE.json", source=str(folder)), tmp_path / "tiles")
    shard = Shard(tmp_path / "tiles/fold3.h5")
    masks = np.load(folder / "Fold 3/masks/fold3/masks.npy")
    expected = [len(set(tile[..., channel].flat) - {0.0}) for tile in masks for channel in range(5)]
    counts = shard.nuclei().groupby(["tile", "class"]).size()
    found = [counts.get((tile, channel + 1), 0) for tile in range(len(masks)) for channel in range(5)]
    assert found == expected
    assert sum(found) == 328
    assert shard.info.source == str(folder)
    assert read_json(tmp_path / "SOURCE.json")["sha256"] == shard.info.source_sha256
