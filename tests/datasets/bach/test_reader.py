"""BACH's photographs become tiles that are not square, with pseudo-instances; wrong files are refused in a sentence."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.base.errors import Problem
from pipeline.base.records import SourceFile
from pipeline.datasets.bach.card import CARD
from pipeline.datasets.bach.reader import PREFIXES, TRUTH, find
from pipeline.stages.convert import convert
from pipeline.stages.download import source_record
from pipeline.tiles.store import Shard

SIZE = (48, 64)  # height and width, px
PHOTOS = "ICIAR2018_BACH_Challenge/Photos"


def picture(seed: int) -> Any:
    """Pink with two round blue nuclei of 6 µm, far apart."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    pixels = np.full((*SIZE, 3), (232, 170, 205), np.uint8)
    for row, column in ((15, 15 + seed % 5), (33, 48)):
        pixels[(y - row) ** 2 + (x - column) ** 2 < (3 / 0.42) ** 2] = (80, 60, 140)
    return pixels


def write(folder: Path, images: int = 2, truth: bool = True) -> Path:
    photos = folder / PHOTOS
    lines = []
    for label, prefix in PREFIXES.items():
        (photos / label).mkdir(parents=True)
        for number in range(1, images + 1):
            Image.fromarray(picture(number)).save(photos / label / f"{prefix}{number:03}.tif")
            lines.append(f"{prefix}{number:03}.tif,{label}\n")
    if truth:
        (photos / TRUTH).write_text("".join(lines))
    return folder


def message(folder: Path) -> str:
    """The one sentence with which reading the folder ends."""
    with pytest.raises(Problem) as problem:
        [tile for photos in find(folder) for tile in photos.tiles()]
    text = str(problem.value)
    assert text.endswith(".") and "\n" not in text
    return text


# ---------------------------------------------------------------------------------------------------------- images


def test_a_class_of_images_is_a_shard_of_tiles_with_its_nuclei(tmp_path: Path) -> None:
    parts = find(write(tmp_path))
    assert [(part.name, part.count, part.tile_size) for part in parts] == [
        (name, 2, SIZE) for name in ("normal", "benign", "insitu", "invasive")
    ]
    for code, (part, label) in enumerate(zip(parts, PREFIXES, strict=True), start=1):
        assert len(part.files) == 3 and TRUTH in {path.name for path in part.files}
        for number, tile in enumerate(part.tiles(), start=1):
            np.testing.assert_array_equal(tile.image, picture(number))
            assert (dict(tile.nuclei), tile.group) == ({1: code, 2: code}, label)
            np.testing.assert_array_equal(tile.class_map, np.where(tile.instance_map > 0, code, 0))
            assert tile.instance_map[15, 15] and tile.instance_map[33, 48] and not tile.instance_map[2, 2]
            assert (tile.source_index, tile.slide, tile.patient) == (number, f"{PREFIXES[label]}{number:03}", "")
            assert (tile.class_map.dtype, tile.instance_map.dtype) == (np.uint8, np.int32)
    assert CARD.classes == ("background", "normal", "benign", "in_situ", "invasive")


def test_the_tile_store_holds_tiles_that_are_not_square(tmp_path: Path) -> None:
    folder = write(tmp_path / "raw")
    paths = {path for part in find(folder) for path in part.files}
    assert len(paths) == 9  # eight images and the ground truth
    files = [
        SourceFile(name=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256="") for path in paths
    ]
    source_record(CARD, "sample", folder, files).write(tmp_path / "SOURCE.json")
    convert("bach", tmp_path / "SOURCE.json", tmp_path / "tiles")
    shard = Shard(tmp_path / "tiles" / "invasive.h5")
    assert (shard.image(1).shape, shard.class_map(1).shape, shard.instance_map(1).shape) == ((*SIZE, 3), SIZE, SIZE)
    assert shard.table()["group"].tolist() == ["Invasive", "Invasive"]
    assert shard.nuclei()["class"].tolist() == [4, 4, 4, 4] and shard.info.microns_per_pixel == 0.42


def test_the_zip_is_read_in_place(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw")
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    with zipfile.ZipFile(zipped / CARD.files[0].name, "w") as archive:
        for path in sorted(path for path in raw.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(raw))
            archive.writestr(f"__MACOSX/{path.relative_to(raw).parent}/._{path.name}", b"rubbish")
        archive.writestr("ICIAR2018_BACH_Challenge/WSI/A01.xml", b"<Annotations/>")
    parts = find(zipped)
    assert [part.files for part in parts] == [[zipped / CARD.files[0].name]] * 4
    for part, unpacked in zip(parts, find(raw), strict=True):
        for mine, other in zip(part.tiles(), unpacked.tiles(), strict=True):
            np.testing.assert_array_equal(mine.image, other.image)


def test_test_images_are_counted_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path)
    test = folder / "ICIAR2018_BACH_Challenge_TestDataset" / "Photos"
    test.mkdir(parents=True)
    for number in range(3):
        Image.fromarray(picture(0)).save(test / f"test{number}.tif")
    assert sum(part.count for part in find(folder)) == 8
    assert (
        "left out 3 (test images, which have no label: 3, test0.tif, test1.tif, test2.tif)" in capsys.readouterr().out
    )


@pytest.mark.parametrize("header", ["", "file,patient\n", "Patients of BACH\n\nFile,Age,Patient Id\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_patients_are_read_where_a_table_tells_them(tmp_path: Path, header: str, separator: str) -> None:
    folder = write(tmp_path)
    table = folder / PHOTOS / "microscopy_patients.csv"
    age = "61," if "Age" in header else ""
    text = f"{header}n001.tif,{age}12\nn002,{age}12\n\nIV002.tif,{age} NA\n"
    table.write_text(text.replace(",", separator))
    (table.parent / "~$microscopy_patients.xlsx").write_bytes(b"left by an open spreadsheet")
    tiles = [tile for part in find(folder) for tile in part.tiles()]
    known = {tile.slide: tile.patient for tile in tiles if tile.patient}
    assert known == {"n001": "12", "n002": "12", "iv002": "NA"}
    assert all(table in part.files for part in find(folder))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n001.tif,61,12\nn002.tif,61,13\n", "has several columns and no header that names the patient's"),
        ("file,age,stage\nn001.tif,61,12\n", "has several columns and no header that names the patient's"),
        (
            "file,Patient Id,Patient no\nn001.tif,61,12\n",
            "several columns of one meaning, 'Patient Id' and 'Patient no'",
        ),
        ("file,patient\n", "names no image of BACH and no value"),
        ("n001.tif,12\nn001.tif,13\n", "line 2 says of n001 13, an earlier one 12"),
    ],
)
def test_a_table_that_may_name_the_wrong_patients_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (write(tmp_path) / PHOTOS / "patients.csv").write_text(text)
    assert said in message(tmp_path)


def test_tables_of_patients_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    photos = write(tmp_path) / PHOTOS
    (photos / "patients.csv").write_text("n001.tif,12\nn002.tif,13\n")
    (photos / "patients_more.csv").write_text("n002.tif,13\nb001.tif,14\n")
    patients = {tile.slide: tile.patient for part in find(tmp_path) for tile in part.tiles()}
    assert [patients[name] for name in ("n001", "n002", "b001", "b002")] == ["12", "13", "14", ""]
    (photos / "patients_old.csv").write_text("n002.tif,12\n")
    assert "give n002 two patients, 13 and 12" in message(tmp_path)


def test_without_a_ground_truth_the_folders_are_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [part.count for part in find(write(tmp_path, truth=False))] == [2] * 4
    assert "the folders' names are the labels" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------------- refusing


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert "holds no image of BACH's class Normal" in message(tmp_path / "nothing")

    folder = write(tmp_path / "no class")
    shutil.rmtree(folder / PHOTOS / "InSitu")
    assert "class InSitu: neither Photos/InSitu/is001.tif" in message(folder)

    folder = write(tmp_path / "misplaced")
    (folder / PHOTOS / "Normal" / "n001.tif").rename(folder / PHOTOS / "Benign" / "n001.tif")
    assert "n001.tif lies in Benign, whose images are named b001.tif" in message(folder)

    folder = write(tmp_path / "twice")
    shutil.copytree(folder / PHOTOS / "Benign", folder / "again" / "Benign")
    assert "are the same file of BACH" in message(folder)

    folder = write(tmp_path / "cut")
    path = folder / PHOTOS / "Invasive" / "iv002.tif"
    path.write_bytes(path.read_bytes()[:200])
    assert f"{path} is no whole picture" in message(folder)

    folder = write(tmp_path / "sizes")
    Image.new("RGB", (64, 47)).save(folder / PHOTOS / "Normal" / "n002.tif")
    assert "n002.tif has 64 x 47 px" in message(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("b001.tif,Benign", "b001.tif,Normal", "gives b001 the label Normal, but it lies at"),
        ("b001.tif,Benign\n", "", "gives b001 the label none"),
        ("b001.tif,Benign", "b001.tif,Benign\nb009.tif,Benign", "names b009.tif and 0 more that are not there"),
        ("b001.tif,Benign", "b001.tif,Benign\nb001.tif,InSitu", "line 4 says of b001 InSitu, an earlier one Benign"),
        ("b001.tif,Benign", "x001.tif,Benign", "line 3 is 'x001.tif,Benign', not an image of BACH and a value"),
        ("b001.tif,Benign", "b001.tif", "line 3 is 'b001.tif', not an image"),
    ],
)
def test_a_wrong_ground_truth_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    truth = write(tmp_path) / PHOTOS / TRUTH
    truth.write_text(truth.read_text().replace(old, new))
    text = message(tmp_path)
    assert said in text and TRUTH in text
