"""BCSS's regions become tiles pixel by pixel, what is outside is ignored, and wrong files are refused in a sentence."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.base.errors import Problem
from pipeline.base.records import SourceFile
from pipeline.datasets.bcss.card import CARD
from pipeline.datasets.bcss.reader import TILE, find
from pipeline.stages.convert import convert
from pipeline.stages.download import source_record
from pipeline.tiles.store import Shard

NAME = "TCGA-A1-A0SK-DX1_xmin45749_ymin25055_MPP-0.2500"
OTHER = "TCGA-A2-A0YE-01Z-00-DX1.8A2E3094-5755-42BC-969D-7F0A2ECA0F39_left-44350_top-44262_mag-BASE"


def write(folder: Path, codes: Any, name: str = NAME, images: str = "rgbs_colorNormalized") -> Path:
    for kind in (images, "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    codes = np.asarray(codes, np.uint8)
    pixels = np.random.default_rng(len(name)).integers(0, 250, (*codes.shape, 3), np.uint8)
    Image.fromarray(pixels).save(folder / images / f"{name}.png")
    Image.fromarray(codes).save(folder / "masks" / f"{name}.png")
    return folder


def message(folder: Path) -> str:
    """The one sentence with which reading the folder ends."""
    with pytest.raises(Problem) as problem:
        [(region.count, tile) for region in find(folder) for tile in region.tiles()]
    text = str(problem.value)
    assert text.endswith(".") and "\n" not in text
    return text


# ----------------------------------------------------------------------------------------------------------- tiles


def test_a_region_is_cut_to_tiles_that_give_it_back(tmp_path: Path) -> None:
    codes = np.random.default_rng(1).integers(0, 22, (TILE + 30, 2 * TILE + 7))
    (region,) = find(write(tmp_path, codes))
    tiles = list(region.tiles())
    assert (region.name, region.count, region.tile_size, region.resolution) == (NAME, 6, 224, (0.25, 40.0))
    assert [(tile.y, tile.x) for tile in tiles] == [(y, x) for y in (0, 224) for x in (0, 224, 448)]
    assert [tile.source_index for tile in tiles] == list(range(6))
    rows = [np.hstack([tile.class_map for tile in tiles[at : at + 3]]) for at in (0, 3)]
    whole = np.vstack(rows)
    expected = np.where(codes == 0, 255, codes - 1)
    np.testing.assert_array_equal(whole[: codes.shape[0], : codes.shape[1]], expected)
    assert (whole[codes.shape[0] :] == 255).all() and (whole[:, codes.shape[1] :] == 255).all()
    with Image.open(tmp_path / "rgbs_colorNormalized" / f"{NAME}.png") as picture:
        np.testing.assert_array_equal(tiles[0].image, np.asarray(picture)[:TILE, :TILE])
        np.testing.assert_array_equal(tiles[5].image[:30, :7], np.asarray(picture)[TILE:, 2 * TILE :])
    assert (tiles[5].image[30:] == 255).all() and (tiles[5].image[:, 7:] == 255).all()
    for tile in tiles:
        assert (tile.patient, tile.slide, tile.group) == ("TCGA-A1-A0SK", "TCGA-A1-A0SK-DX1", "A1")
        assert (tile.image.dtype, tile.class_map.dtype, tile.instance_map.dtype) == (np.uint8, np.uint8, np.int32)
        assert tile.image.shape == (TILE, TILE, 3) and not tile.nuclei and not tile.instance_map.any()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 470), st.integers(1, 470), st.integers(1, 21))
def test_no_pixel_is_lost_or_counted_twice(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, code: int
) -> None:
    (region,) = find(write(tmp_path_factory.mktemp("region"), np.full((height, width), code)))
    tiles = list(region.tiles())
    assert len(tiles) == region.count == -(-height // TILE) * -(-width // TILE)
    assert sum((tile.class_map == code - 1).sum() for tile in tiles) == height * width


def test_tiles_wholly_outside_are_left_out(tmp_path: Path) -> None:
    codes = np.zeros((TILE, 3 * TILE))
    codes[0, TILE] = 20
    codes[-1, -1] = 1
    (region,) = find(write(tmp_path, codes))
    tiles = list(region.tiles())
    assert region.count == 2 and [tile.x for tile in tiles] == [TILE, 2 * TILE]
    assert np.unique(tiles[0].class_map).tolist() == [CARD.classes.index("dcis"), 255]


def test_a_tile_does_not_hold_its_region_in_memory(tmp_path: Path) -> None:
    (region,) = find(write(tmp_path, np.ones((2 * TILE, 2 * TILE))))
    for tile in region.tiles():
        for array in (tile.image, tile.class_map):
            base = array if array.base is None else array.base
            assert base.nbytes <= TILE * TILE * 3


# --------------------------------------------------------------------------------------------------------- finding


def test_names_tell_patient_slide_institution_and_pixel(tmp_path: Path) -> None:
    for name in (NAME, OTHER, "TCGA-OL-A5D6-DX1_xmin1_ymin2_MPP-0.5", "TCGA-E9-A5FL-DX1_xmin1_ymin2_MAG-10.00"):
        write(tmp_path, np.ones((2, 2)), name)
    found = [(region.patient, region.slide, region.institution, region.resolution[0]) for region in find(tmp_path)]
    assert found == [
        ("TCGA-A1-A0SK", "TCGA-A1-A0SK-DX1", "A1", 0.25),
        ("TCGA-A2-A0YE", "TCGA-A2-A0YE-DX1", "A2", 0.25),
        ("TCGA-E9-A5FL", "TCGA-E9-A5FL-DX1", "E9", 0.25),
        ("TCGA-OL-A5D6", "TCGA-OL-A5D6-DX1", "OL", 0.5),
    ]


def test_zips_are_read_in_place_and_normalised_images_go_first(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", np.full((5, 9), 3))
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    for kind in ("rgbs_colorNormalized", "masks"):  # as Google Drive packs a folder: in several archives
        with zipfile.ZipFile(zipped / f"drive-{kind}.zip", "w") as archive:
            archive.write(raw / kind / f"{NAME}.png", f"0_Public-data/{kind}/{NAME}.png")
            archive.writestr(f"__MACOSX/{kind}/._{NAME}.png", b"rubbish")
    (region,), (unpacked,) = find(zipped), find(raw)
    assert [path.name for path in region.files] == ["drive-masks.zip", "drive-rgbs_colorNormalized.zip"]
    for mine, other in zip(region.tiles(), unpacked.tiles(), strict=True):
        np.testing.assert_array_equal(mine.image, other.image)
    write(raw, np.full((5, 9), 3), images="rgbs")
    assert find(raw)[0].image.name.parent.name == "rgbs_colorNormalized"


def test_the_tile_store_holds_what_is_read_and_its_pixel_size(tmp_path: Path) -> None:
    fine, coarse = NAME, "TCGA-OL-A5D6-DX1_xmin1_ymin2_MPP-0.5000"
    folder = tmp_path / "raw"
    for name in (fine, coarse):
        write(folder, np.full((TILE, TILE + 1), 7), name)
    files = [
        SourceFile(name=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256="")
        for region in find(folder)
        for path in region.files
    ]
    source_record(CARD, "sample", folder, files).write(tmp_path / "SOURCE.json")
    convert("bcss", tmp_path / "SOURCE.json", tmp_path / "tiles")
    shards = [Shard(tmp_path / "tiles" / f"{name}.h5") for name in (fine, coarse)]
    assert [shard.path.stem for shard in shards] == [fine, coarse]
    assert [(len(shard), shard.info.microns_per_pixel) for shard in shards] == [(2, 0.25), (2, 0.5)]
    assert shards[0].table()["group"].tolist() == ["A1", "A1"]
    assert shards[0].info.classes[int(shards[0].class_map(0)[0, 0])] == "exclude"


# -------------------------------------------------------------------------------------------------------- refusing


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert "holds no region of BCSS" in message(tmp_path / "nothing")

    for lost, said in (("masks", "has no mask"), ("rgbs_colorNormalized", "is a mask without an image")):
        folder = write(tmp_path / f"no {lost}", np.ones((3, 3)))
        write(folder, np.ones((3, 3)), OTHER)
        (folder / lost / f"{NAME}.png").unlink()
        assert f"{NAME}.png {said}" in message(folder)

    folder = write(tmp_path / "twice", np.ones((3, 3)))
    shutil.copytree(folder / "masks", folder / "again" / "masks")
    assert "are the same file of BCSS" in message(folder)

    folder = write(tmp_path / "cut", np.ones((90, 90)))
    path = folder / "rgbs_colorNormalized" / f"{NAME}.png"
    path.write_bytes(path.read_bytes()[:5000])
    assert f"{path} is no whole picture" in message(folder)

    folder = write(tmp_path / "sizes", np.ones((9, 9)))
    Image.new("RGB", (9, 8)).save(folder / "rgbs_colorNormalized" / f"{NAME}.png")
    assert "has 9 x 9 px, its image 9 x 8" in message(folder)

    folder = write(tmp_path / "grey", np.ones((9, 9)))
    Image.new("L", (9, 9)).save(folder / "rgbs_colorNormalized" / f"{NAME}.png")
    assert "is no RGB image: its mode is L" in message(folder)


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (np.array([[1, 255]]), "holds the value 255, where BCSS has codes 0 to 21"),
        (np.array([[22, 1]]), "holds the value 22"),
        (np.zeros((2, 2)), "has the code 0 everywhere"),
    ],
)
def test_a_wrong_mask_is_named(tmp_path: Path, codes: Any, said: str) -> None:
    text = message(write(tmp_path, codes))
    assert said in text and f"masks/{NAME}.png" in text


def test_a_coloured_mask_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, np.ones((4, 4)))
    Image.new("RGB", (4, 4), (1, 0, 3)).save(folder / "masks" / f"{NAME}.png")
    assert "a picture in colours no codes at all" in message(folder)


@pytest.mark.parametrize("kind", ["indices", "16 bits", "grey as colours"])
def test_codes_in_a_picture_of_another_kind(tmp_path: Path, kind: str) -> None:
    codes = np.array([[0, 1, 21, 7]], np.uint8)
    folder = write(tmp_path, codes)
    if kind == "indices":
        picture = Image.fromarray(codes, "P")
        picture.putpalette(list(range(255, -1, -1)) * 3)  # for the eye
    else:
        picture = Image.fromarray(codes.astype(np.uint16) if kind == "16 bits" else np.dstack([codes] * 3))
    picture.save(folder / "masks" / f"{NAME}.png")
    (region,) = find(folder)
    (tile,) = region.tiles()
    assert tile.class_map[0, :4].tolist() == [255, 0, 20, 6]


@pytest.mark.parametrize("name", ["5067", "TCGA-A1", "TCGA-ZZ-A0SK-DX1_xmin1_ymin1_MPP-0.2500"])
def test_a_name_without_a_known_patient_is_refused(tmp_path: Path, name: str) -> None:
    assert "does not begin with the barcode of a patient of BCSS" in message(write(tmp_path, np.ones((4, 4)), name))


@pytest.mark.parametrize("size", ["0.0000", "0.0250", "2.5000", "25.0"])
def test_an_absurd_pixel_is_refused(tmp_path: Path, size: str) -> None:
    name = f"TCGA-A1-A0SK-DX1_xmin1_ymin1_MPP-{size}"
    assert "outside 0.1 to 2" in message(write(tmp_path, np.ones((4, 4)), name))


# ------------------------------------------------------------------------------------------------------------ real


@pytest.mark.real
def test_all_real_masks(real_data: Path, tmp_path: Path) -> None:
    """The masks at hand have no images, so white ones stand in for them."""
    masks = sorted((real_data / "bcss" / "masks").glob("*.png"))
    for kind in ("rgbs", "masks"):
        (tmp_path / kind).mkdir()
    for path in masks:
        (tmp_path / "masks" / path.name).symlink_to(path)
        with Image.open(path) as picture:
            Image.new("RGB", picture.size, (255, 255, 255)).save(tmp_path / "rgbs" / path.name)
    regions = find(tmp_path)
    assert len(regions) == 21 and {region.slide for region in regions} == {"TCGA-A2-A0YE-DX1"}
    assert sorted(region.count for region in regions)[:20] == [9] * 20
    (large,) = (region for region in regions if region.count > 9)
    with Image.open(large.mask.path) as picture:
        codes = np.asarray(picture)
    assert codes.shape == (4594, 4542) and large.count < 21 * 21
    assert set(np.unique(codes)) == {0, 1, 2, 3, 7, 13, 18}
    pixels = sum(np.bincount(tile.class_map.ravel(), minlength=256) for tile in large.tiles())
    np.testing.assert_array_equal(pixels[:21], np.bincount(codes.ravel(), minlength=22)[1:])


@pytest.mark.real
def test_the_tumour_masks_of_another_release_are_refused(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "bcss" / "kaggle512"
    assert "holds no region of BCSS" in message(source)
    for place, target in (("image", "images"), ("mask", "masks")):
        shutil.copytree(source / place, tmp_path / target)
    assert "5067.png does not begin with the barcode" in message(tmp_path)
    for place in ("images", "masks"):
        (tmp_path / place / "5067.png").rename(tmp_path / place / f"{NAME}.png")
        (tmp_path / place / "5068.png").unlink()
    assert "another release holds tumour masks of 0 and 255" in message(tmp_path)
