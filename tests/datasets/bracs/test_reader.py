"""BRACS: slides, outlines and table become shards; what is wrong with one slide is said while the others go on."""

import os
import shutil
import signal
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from pipeline.base.errors import Problem
from pipeline.base.files import read_json
from pipeline.base.params import Tiling
from pipeline.base.records import SourceFile
from pipeline.datasets.bracs.card import CARD
from pipeline.datasets.bracs.reader import CODES, find
from pipeline.datasets.bracs.table import side_of, slide_name
from pipeline.slides.annotations import read_annotations
from pipeline.slides.slide import Slide
from pipeline.slides.tiling import select_tiles
from pipeline.stages.convert import convert
from pipeline.stages.download import source_record
from pipeline.tiles.store import IGNORE, Shard
from pipeline.tiles.writer import ShardWriter
from tests.slide_files import box, feature, speckled, write_features, write_scn, write_tiff

SETTINGS = Tiling(tile_size=32, stride=32, background=12.5, lesion_free=3)
HEIGHT, WIDTH = 320, 650  # the left 325 px are tissue


def write(folder: Path, number: int, *features: Any, place: str = "train/Group_BT/Type_UDH") -> Path:
    """A slide with its annotation; a lesion that meets four tiles unless others are given."""
    name = f"BRACS_{number}"
    write_tiff(folder / place / f"{name}.svs", speckled(HEIGHT, WIDTH, number))
    lesions = features or (feature("Polygon", [box(40, 40, 90, 90)]),)
    write_features(folder / place / f"{name}.geojson", *lesions)
    return folder


def run(folder: Path, root: Path, settings: Tiling = SETTINGS) -> Path:
    """Convert as the stage does; the folder of shards."""
    files = sorted({file for part in find(folder) for file in part.files})
    named = [
        SourceFile(name=file.relative_to(folder).as_posix(), bytes=file.stat().st_size, sha256="") for file in files
    ]
    source_record(CARD, str(folder), folder, named).write(root / "SOURCE.json")
    convert("bracs", root / "SOURCE.json", root / "tiles", settings)
    return root / "tiles"


@pytest.mark.parametrize("is_lost", [False, True])
def test_slides_in_several_processes_are_the_same_bytes(
    is_lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unused = feature("Polygon", [box(200, 200, 230, 230)], "Artefact")
    for number in range(3):
        write(tmp_path / "slides", number, feature("Polygon", [box(40, 40, 90, 90)]), unused)
    alone, several = tmp_path / "alone", tmp_path / "several"
    run(tmp_path / "slides", alone)
    monkeypatch.setenv("LOBULE_WORKERS", "2")
    if is_lost:
        whole = ShardWriter.cut

        def cut(self: ShardWriter) -> None:
            whole(self)
            if not (tmp_path / "was-lost").exists() and "BRACS_1" in self._path.name:
                (tmp_path / "was-lost").touch()
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(ShardWriter, "cut", cut)
    run(tmp_path / "slides", several)
    assert ("BRACS_1: its process was lost (signal 9), it is begun anew" in capsys.readouterr().out) == is_lost
    made, expected = (
        {path.name: path.read_bytes() for path in (root / "tiles").iterdir()} for root in (several, alone)
    )
    assert len(expected) >= 6
    assert made == expected


def test_of_slides_in_several_processes_all_that_are_wrong_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write(tmp_path / "slides", number)
    for number in (0, 2):
        (tmp_path / f"slides/train/Group_BT/Type_UDH/BRACS_{number}.svs").write_bytes(b"nothing")
    alone = failure(tmp_path / "slides", tmp_path)
    monkeypatch.setenv("LOBULE_WORKERS", "2")
    assert failure(tmp_path / "slides", tmp_path) == alone
    assert alone.startswith("2 of 3 parts failed:")


def failure(folder: Path, root: Path, settings: Tiling = SETTINGS) -> str:
    with pytest.raises(Problem) as problem:
        run(folder, root, settings)
    assert not (root / "tiles").exists()
    return str(problem.value)


# ------------------------------------------------------------------------------------------------------------ tiles


def test_a_slide_becomes_a_shard(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", 7, place="val/Group_BT/Type_UDH")
    (raw / "BRACS.csv").write_text("WSI Filename;Patient Id;Set\nBRACS_7;31;Validation\n")
    tiles = run(raw, tmp_path)
    shard = Shard(tiles / "BRACS_7.h5")
    table = shard.table()
    assert len(shard) == 16 and shard.info.classes == CARD.classes
    assert (shard.info.microns_per_pixel, shard.info.magnification) == pytest.approx((0.25, 40))
    assert (
        set(table["patient"]) == {"31"} and set(table["slide"]) == {"BRACS_7"} and set(table["group"]) == {"validation"}
    )
    pixels, truth = speckled(HEIGHT, WIDTH, 7), np.zeros((HEIGHT, WIDTH), np.uint8)
    truth[40:90, 40:90] = CARD.classes.index("UDH")
    for index, row in table.iterrows():
        place = np.s_[row["y"] : row["y"] + 32, row["x"] : row["x"] + 32]
        np.testing.assert_array_equal(shard.image(index), pixels[place])
        np.testing.assert_array_equal(shard.class_map(index), truth[place])
        np.testing.assert_array_equal(shard.bits(index), np.where(truth[place] > 0, 4, 0))
        assert not shard.instance_map(index).any()
    assert [bool(shard.class_map(index).any()) for index in range(16)] == [True] * 4 + [False] * 12
    assert len(set(zip(table["x"], table["y"], strict=True))) == 16
    assert len(shard.nuclei()) == 0


def test_the_index_has_every_tile_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    over_glass = feature("Polygon", [box(600, 100, 610, 110)], "DCIS")
    raw = write(tmp_path / "raw", 7, feature("Polygon", [box(40, 40, 90, 90)]), over_glass)
    tiles = run(raw, tmp_path)
    index = pd.read_csv(tiles / "BRACS_7.csv")
    assert len(index) == 21 * 10 and index["state"].value_counts()["lesion"] == 6
    assert index["state"].value_counts()["lesion-free"] == 18
    assert set(index["state"]) == {"lesion", "lesion-free", "glass", "not drawn"}
    assert (index["lesion_pixels"] > 0).equals(index["state"] == "lesion")
    assert index["lesion_pixels"].sum() == 2500 + 100
    glass = index[(index["state"] == "lesion") & (index["spread"] < 12.5)]  # outlined, and so kept
    assert glass[["x", "y", "lesion_pixels"]].to_numpy().tolist() == [[576, 96, 80], [608, 96, 20]]
    assert index["spread"].notna().equals(index["state"].isin(["lesion", "lesion-free"]))
    assert (index.loc[index["state"] == "lesion-free", "spread"] >= 12.5).all()
    assert (tiles / "BRACS_7.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    glassy, undrawn = (index["state"].value_counts()[state] for state in ("glass", "not drawn"))
    told = next(line for line in capsys.readouterr().out.splitlines() if "on the grid" in line)
    assert told.startswith(
        "BRACS_7: 210 tiles on the grid = 6 kept with an outline of a class but the first + 18 kept "
    )
    assert f"+ {glassy} left out as glass (RGB standard deviation below tiling.background)" in told
    assert told.endswith(f" + {undrawn} without one not drawn (tiling.lesion_free, tiling.at_least)")


def test_background_that_looks_like_tissue_from_afar_is_dropped_when_it_is_read(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", 7)
    pixels = speckled(HEIGHT, WIDTH, 7)
    noise = np.random.default_rng(0).integers(-10, 11, (HEIGHT, WIDTH - 352, 3))
    pixels[:, 352:] = 235 + noise  # standard deviation 6
    write_tiff(raw / "train/Group_BT/Type_UDH/BRACS_7.svs", pixels)
    index = pd.read_csv(run(raw, tmp_path, Tiling(tile_size=32, stride=32, at_least=10**6)) / "BRACS_7.csv")
    dropped = index["state"] == "background"
    assert dropped.equals(index["x"] >= 352) and (index.loc[dropped, "spread"] < 12.5).all()
    assert set(index.loc[~dropped, "state"]) == {"lesion", "lesion-free"}


def test_work_follows_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = Slide.read
    monkeypatch.setattr(Slide, "read", lambda self, grid, *place: read.append(place) or original(self, grid, *place))
    run(write(tmp_path / "raw", 7), tmp_path)
    assert 16 <= len(read) <= 16 + 8 < 210


def test_the_same_tiles_with_any_number_of_threads_and_others_with_another_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = write(tmp_path / "raw", 7)
    first = run(raw, tmp_path / "a")
    monkeypatch.setattr("pipeline.slides.tiling.READERS", 1)
    second = run(raw, tmp_path / "b")
    for name in ("BRACS_7.h5", "BRACS_7.csv", "BRACS_7.jpg"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    third = run(raw, tmp_path / "c", Tiling(tile_size=32, stride=32, seed=1))
    assert (first / "BRACS_7.csv").read_bytes() != (third / "BRACS_7.csv").read_bytes()


def test_all_lesion_free_tiles_when_the_cap_is_large_and_some_without_lesions(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", 7, feature("Polygon", [box(40, 40, 90, 90)], "Tissue"))
    some = run(raw, tmp_path, Tiling(tile_size=32, stride=32, at_least=5))
    assert len(Shard(some / "BRACS_7.h5")) == 5
    every = run(raw, tmp_path, Tiling(tile_size=32, stride=32, at_least=10**6))
    textured = sum(
        speckled(HEIGHT, WIDTH, 7)[y : y + 32, x : x + 32].std() >= 12.5
        for y in range(0, HEIGHT, 32)
        for x in range(0, WIDTH, 32)
    )
    assert len(Shard(every / "BRACS_7.h5")) == textured


def test_a_slide_without_a_lesion_is_one_like_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = write(tmp_path / "raw", 7, feature("Polygon", [box(40, 40, 90, 90)], "Tissue"))
    tiles = run(write(raw, 8), tmp_path)
    assert [len(Shard(tiles / f"BRACS_{number}.h5")) for number in (7, 8)] == [0, 16]
    assert "1 of 2 parts have no tile: BRACS_7\n" in capsys.readouterr().out


def test_a_data_set_without_a_lesion_is_refused_and_says_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [feature("Polygon", [box(40, 40, 90, 90)], name) for name in ("Tumor", "Tumor", "Stroma")]
    raw = write(write(tmp_path / "raw", 7, *other), 8, other[0])
    said = f"none of the classes N, PB, UDH, FEA, ADH, DCIS, IC is on a tile of {raw}; its annotations hold"
    holds = "features of class 'Tumor' (3), features of class 'Stroma' (1)"
    cure = "correct the classes in QuPath, or set tiling.at_least in params.yaml to use tiles without."
    assert failure(raw, tmp_path) == f"{said} {holds}; {cure}"
    run(raw, tmp_path, Tiling(tile_size=32, stride=32, at_least=2))
    assert f"WARNING: {said} {holds}.\n" in capsys.readouterr().out


def test_what_lies_beyond_the_slide_is_ignored(tmp_path: Path) -> None:
    pixels = speckled(100, 100)
    pixels[:, 50:] = pixels[:, :50]
    raw = tmp_path / "raw"
    write_tiff(raw / "BRACS_1.svs", pixels)
    write_features(raw / "BRACS_1.geojson", feature("Polygon", [box(-9, -9, 300, 300)]))
    shard = Shard(run(raw, tmp_path, Tiling(tile_size=64, stride=64)) / "BRACS_1.h5")
    assert len(shard) == 4
    classes = shard.class_map(3)
    assert (classes[:36, :36] == 3).all() and (classes == IGNORE).sum() == 64 * 64 - 36 * 36
    assert (
        (shard.image(3)[36:] == 255).all() and (shard.bits(3)[36:] == 0).all() and (shard.bits(3)[:36, :36] == 4).all()
    )


def test_what_is_outlined_is_what_was_seen_on_a_slide_with_bounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = speckled(192, 256)
    pixels[70:110, 30:75] = 20  # dark, and outlined from the scan's corner
    raw = tmp_path / "raw"
    write_scn(raw / "BRACS_1.scn", pixels, (128, 64), 512)
    write_features(raw / "BRACS_1.geojson", feature("Polygon", [box(30, 70, 75, 110)]))
    tiles = run(raw, tmp_path)
    assert "BRACS_1.scn: outlines count from the scan's corner, at x 128, y 64 of the glass" in capsys.readouterr().out
    shard = Shard(tiles / "BRACS_1.h5")
    table = shard.table()
    assert (shard.class_map(0) == 3).any()
    for index, row in table.iterrows():
        image = shard.image(index)
        np.testing.assert_array_equal(image, pixels[row["y"] :, row["x"] :][:32, :32])
        np.testing.assert_array_equal(shard.class_map(index) == 3, (image == 20).all(axis=-1))
    index = pd.read_csv(tiles / "BRACS_1.csv")
    assert len(index) == 8 * 6 and index["lesion_pixels"].sum() == 40 * 45  # no tile of the glass around the scan
    drawn = read_json(tiles / "BRACS_1.outlines.json")
    with Image.open(tiles / "BRACS_1.thumbnail.jpg") as thumbnail:
        seen = np.asarray(thumbnail.convert("L")) < 60
    (ring,) = (np.array(outline["ring"]) for outline in drawn["outlines"])
    rows, columns = np.nonzero(seen)
    found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    np.testing.assert_allclose([*ring.min(axis=0), *ring.max(axis=0)], found, atol=1)


def test_overlapping_lesions_keep_a_bit_each(tmp_path: Path) -> None:
    lesions = [feature("Polygon", [box(0, 0, 32, 20)], "DCIS"), feature("Polygon", [box(0, 10, 32, 32)], "adh ")]
    shard = Shard(run(write(tmp_path / "raw", 7, *lesions), tmp_path) / "BRACS_7.h5")
    assert shard.table()["overlap"][0] == 320 and (shard.class_map(0)[10:] == 5).all()
    assert (shard.bits(0)[10:20] == (1 << 5) + (1 << 4)).all()


# ---------------------------------------------------------------------------------------------------------- failing


def test_every_wrong_slide_is_listed_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = tmp_path / "raw"
    for number in range(1, 9):
        write(raw, number)
    place = raw / "train/Group_BT/Type_UDH"
    cut = (place / "BRACS_1.svs").read_bytes()
    (place / "BRACS_1.svs").write_bytes(cut[: len(cut) // 2])
    text = (place / "BRACS_2.geojson").read_text()
    (place / "BRACS_2.geojson").write_text(text[: len(text) // 2])
    write_features(place / "BRACS_3.geojson", feature("Polygon", [box(5000, 5000, 5100, 5100)]))
    (place / "BRACS_4.svs").unlink()
    (place / "BRACS_5.geojson").unlink()
    (place / "BRACS_6.geojson").rename(place / "BRACS_6.qpdata")
    shutil.copy(place / "BRACS_7.geojson", raw / "BRACS_7.geojson")
    lines = failure(raw, tmp_path).splitlines()
    assert lines[0] == "7 of 8 parts failed:"
    assert all(line.startswith(f"        {raw}") and line.endswith(".") for line in lines[1:])
    for line, wanted in zip(
        lines[1:],
        [
            "BRACS_1.svs is ",
            "BRACS_2.geojson ends in the middle",
            "BRACS_3.geojson has an outline around x 5050, y 5050, but its slide has 650 x 320 px",
            "BRACS_4.geojson is an annotation without a slide BRACS_4.svs",
            "BRACS_5.svs has no annotation BRACS_5.geojson",
            "BRACS_6.svs has BRACS_6.qpdata but no BRACS_6.geojson; export it as docs/how-to/export-from-qupath.md",
            "are both annotations of BRACS_7",
        ],
        strict=True,
    ):
        assert wanted in line
    assert "BRACS_8: 16 tiles" in capsys.readouterr().out
    assert (Path(__file__).parents[3] / "docs/how-to/export-from-qupath.md").is_file()


def test_slides_of_one_name_are_refused(tmp_path: Path) -> None:
    raw = write(write(tmp_path / "raw", 1), 2, place="val/Group_BT/Type_UDH")
    first = raw / "train/Group_BT/Type_UDH/BRACS_1.svs"
    shutil.copy(first, raw / "BRACS_1.ome.tif")
    shutil.copy(raw / "val/Group_BT/Type_UDH/BRACS_2.svs", raw / "bracs_2.svs")
    lines = failure(raw, tmp_path).splitlines()
    assert f"{raw}/BRACS_1.ome.tif and {first} are both slides of BRACS_1; move one of them away." in lines[1]
    assert "bracs_2.svs and " in lines[2] and "BRACS_2.svs are both slides of" in lines[2]


def test_double_suffixes_and_other_forms_of_a_letter_are_paired(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_tiff(raw / "Präparat_1.ome.tif", speckled(HEIGHT, WIDTH))
    composed = unicodedata.normalize("NFD", "Präparat_1.ome.tif.geojson")
    write_features(raw / "export" / composed, feature("Polygon", [box(40, 40, 90, 90)]))
    (raw / "BRACS.csv").write_text("WSI Filename,Patient Id\nPräparat_1.ome.tif,31\n")
    (shard,) = run(raw, tmp_path).glob("*.h5")
    assert shard.name == "Präparat_1.h5" and set(Shard(shard).table()["patient"]) == {"31"}


def test_what_a_slide_of_several_files_consists_of_is_recorded(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_features(raw / "BRACS_1.geojson", feature("Polygon", [box(40, 40, 90, 90)]))
    write_features(raw / "BRACS_2.geojson", feature("Polygon", [box(40, 40, 90, 90)]))
    (raw / "BRACS_1").mkdir()
    for name in ("BRACS_1.mrxs", "BRACS_1/Slidedat.ini", "BRACS_1/Data0000.dat", "BRACS_2.mrxs"):
        (raw / name).write_bytes(b"x")
    first, second = find(raw)
    assert [path.relative_to(raw).as_posix() for path in first.files] == [
        "BRACS_1/Data0000.dat",
        "BRACS_1/Slidedat.ini",
        "BRACS_1.geojson",
        "BRACS_1.mrxs",
    ]
    with pytest.raises(Problem, match=r"BRACS_2\.mrxs lies without the files that hold its pixels"):
        next(second.tiles())


def test_a_choice_of_slides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = write(write(tmp_path / "raw", 1494), 1496)
    (raw / "train/Group_BT/Type_UDH/BRACS_1496.svs").write_bytes(b"")  # wrong, and not asked for
    tiles = run(raw, tmp_path, Tiling(tile_size=32, stride=32, slides="1494"))
    assert [path.name for path in sorted(tiles.glob("*.h5"))] == ["BRACS_1494.h5"]
    said = "used 2 + left out 2 (of slides that `tiling.slides` does not name: 2, BRACS_1496.geojson, BRACS_1496.svs)"
    assert said in capsys.readouterr().out
    assert "holds no slide bracs_9" in failure(raw, tmp_path / "b", Tiling(slides="BRACS_9"))


def test_a_folder_without_slides_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slides.zip").write_bytes(b"x")
    with pytest.raises(Problem, match=r"holds no slide of BRACS such as BRACS_1494\.svs; .*\.$"):
        find(tmp_path)
    assert "found 1 files = used 0 + left out 1 (of no use here: 1, slides.zip)" in capsys.readouterr().out


def test_names() -> None:
    assert slide_name(" BRACS_12.svs ") == slide_name("12") == "bracs_12"
    assert [side_of(text) for text in ("train", "Validation", "testing", "Group_BT")] == [
        "train",
        "validation",
        "test",
        "",
    ]
    assert CODES["udh"] == CODES["usual ductal hyperplasia"] == 3 and set(CODES.values()) == set(range(1, 8))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("slide,patient\nBRACS_8,1\n", "names none of the slides that lie beside it, such as bracs_7"),
        ("slide,patient\nBRACS_7,\n", "names no patient for 1 of 1 slides, the first bracs_7"),
    ],
)
def test_a_table_that_tells_nothing_of_the_slides_is_refused(text: str, wanted: str, tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", 7)
    (raw / "BRACS.csv").write_text(text)
    with pytest.raises(Problem, match=wanted):
        find(raw)


def test_what_an_open_spreadsheet_leaves_is_no_table(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", 7)
    (raw / "BRACS.csv").write_text("slide,patient\nBRACS_7,NA\n")
    (raw / "~$BRACS.xlsx").write_bytes(b"who has it open")
    (slide,) = find(raw)
    assert slide.patient == "NA" and [path.name for path in slide.tables] == ["BRACS.csv"]


# ------------------------------------------------------------------------------------------------------------- real


@pytest.mark.real
def test_a_real_slide_with_a_real_annotation(real_data: Path) -> None:
    with Slide(real_data / "wsi/CMU-1-Small-Region.svs") as slide:
        annotations = read_annotations(real_data / "wsi/CMU-1-Small-Region.geojson", {"tissue": 1})
        annotations.check_place(slide.width, slide.height)
        chosen = select_tiles(slide, annotations, Tiling(tile_size=256, stride=256, microns_per_pixel=None))
        assert 30 < sum(1 for _ in chosen.tiles()) <= chosen.at_most
    assert len(chosen.index) == 9 * 12
    marked = sum(tile.lesion_pixels for tile in chosen.index)
    (shape,) = annotations.shapes
    assert marked == pytest.approx(shapely.clip_by_rect(shape, 0, 0, 2220, 2967).area, rel=1e-3)
    assert marked / (2220 * 2967) == pytest.approx(0.32, abs=0.01)
