"""TNBC is read from folders and from its zip, with masks of any kind, and refused in one sentence where it is wrong."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from pipeline.base.errors import Problem
from pipeline.base.records import SourceFile
from pipeline.datasets.tnbc.card import CARD
from pipeline.datasets.tnbc.reader import find
from pipeline.stages.convert import convert
from pipeline.stages.download import source_record
from pipeline.tiles.store import Shard

SIZE = 12  # px
MASK = np.zeros((SIZE, SIZE), np.uint8)
MASK[1:4, 1:4] = MASK[4:6, 4:6] = MASK[8, 2:9] = 255  # two that touch at a corner, and one apart


def image(number: int = 0) -> Any:
    return np.random.default_rng(number).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def write(folder: Path, patients: dict[int, int]) -> Path:
    """So many images of each patient, with the same mask."""
    for patient, images in patients.items():
        for index in range(1, images + 1):
            for kind, pixels in (("Slide", image(10 * patient + index)), ("GT", MASK)):
                path = folder / f"{kind}_{patient:02}" / f"{patient:02}_{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return folder


def zipped(folder: Path) -> Path:
    """The folder as the official zip lays it out, beside it."""
    target = folder.with_name(f"{folder.name}-zipped")
    target.mkdir()
    with zipfile.ZipFile(target / CARD.files[0].name, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, Path("TNBC_NucleiSegmentation") / path.relative_to(folder))
    return target


def read_all(folder: Path) -> list[Any]:
    return [tile for patient in find(folder) for tile in patient.tiles()]


def message(folder: Path) -> str:
    """The one sentence with which reading the folder ends."""
    with pytest.raises(Problem) as problem:
        read_all(folder)
    text = str(problem.value)
    assert text.endswith(".") and "\n" not in text
    return text


def mask_of(picture: Any, folder: Path) -> Any:
    """The instance map that is read from a mask."""
    write(folder, {1: 1})
    picture.save(folder / "GT_01" / "01_1.png")
    (tile,) = read_all(folder)
    np.testing.assert_array_equal(tile.class_map, tile.instance_map > 0)
    assert dict(tile.nuclei) == {int(number): 1 for number in np.unique(tile.instance_map) if number}
    return tile.instance_map


# ------------------------------------------------------------------------------------------------------ finding


def test_images_are_read_as_they_were_written(tmp_path: Path) -> None:
    second, tenth = find(write(tmp_path, {2: 2, 10: 11}))
    assert [(p.name, p.count, p.tile_size) for p in (second, tenth)] == [
        ("patient02", 2, SIZE),
        ("patient10", 11, SIZE),
    ]
    assert [path.name for path in second.files] == ["02_1.png", "02_2.png", "02_1.png", "02_2.png"]
    assert [tile.source_index for tile in tenth.tiles()] == list(range(1, 12))
    for number, tile in enumerate(second.tiles(), start=1):
        np.testing.assert_array_equal(tile.image, image(20 + number))
        assert (tile.patient, tile.slide, tile.group, tile.overlap, tile.conflict) == ("02", "02", "Breast", 0, 0)
        assert (tile.image.dtype, tile.class_map.dtype, tile.instance_map.dtype) == (np.uint8, np.uint8, np.int32)


def test_a_zip_gives_what_its_folder_gives(tmp_path: Path) -> None:
    unpacked = write(tmp_path / "raw", {1: 2, 11: 1})
    archive = zipped(unpacked)
    assert {path for patient in find(archive) for path in patient.files} == {archive / CARD.files[0].name}
    for tile, other in zip(read_all(archive), read_all(unpacked), strict=True):
        for name in vars(tile):
            np.testing.assert_array_equal(getattr(tile, name), getattr(other, name), err_msg=name)


def test_unpacked_files_go_before_their_zip(tmp_path: Path) -> None:
    unpacked = write(tmp_path / "raw", {1: 2})
    shutil.move(zipped(unpacked) / CARD.files[0].name, unpacked)
    (patient,) = find(unpacked)
    assert {path.suffix for path in patient.files} == {".png"}


def test_other_patients_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [patient.name for patient in find(write(tmp_path, {11: 1, 12: 1, 14: 2}))] == ["patient11"]
    assert "2 patients that are not TNBC's are left out (12, 14)" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------------- masks

BINARY = {
    "grey": lambda: Image.fromarray(MASK),
    "one": lambda: Image.fromarray(MASK // 255),
    "bits": lambda: Image.fromarray(MASK).convert("1"),
    "palette": lambda: Image.fromarray(MASK).convert("P"),
    "colours": lambda: Image.fromarray(MASK).convert("RGB"),
    "alpha": lambda: Image.fromarray(MASK).convert("RGBA"),
    "16 bits": lambda: Image.fromarray(MASK.astype(np.uint16) * 257),
}


@pytest.mark.parametrize("kind", BINARY)
def test_a_binary_mask_of_any_kind_gives_its_pieces(tmp_path: Path, kind: str) -> None:
    np.testing.assert_array_equal(
        mask_of(BINARY[kind](), tmp_path), np.where(MASK, np.where(np.indices((SIZE, SIZE))[0] > 6, 2, 1), 0)
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_mask_with_a_value_for_each_nucleus_keeps_them_apart(tmp_path: Path, dtype: Any) -> None:
    values = np.zeros((SIZE, SIZE), dtype)
    values[1:4, 1:4], values[1:4, 4:6], values[9, 9] = 9, 3, 200
    np.testing.assert_array_equal(
        mask_of(Image.fromarray(values), tmp_path), np.select([values == 3, values == 9, values == 200], [1, 2, 3])
    )


def test_a_mask_with_a_colour_for_each_nucleus_keeps_them_apart(tmp_path: Path) -> None:
    values = np.zeros((SIZE, SIZE, 3), np.uint8)
    values[1:4, 1:4], values[1:4, 4:6] = (255, 0, 0), (0, 0, 255)
    found = mask_of(Image.fromarray(values), tmp_path)
    assert (found[2, 2], found[2, 5], found.max(), (found > 0).sum()) == (2, 1, 2, 15)


def test_an_empty_mask_has_no_nuclei(tmp_path: Path) -> None:
    assert not mask_of(Image.fromarray(MASK * 0), tmp_path).any()


def test_colours_that_repeat_are_nuclei_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.zeros((SIZE, SIZE), np.uint8)
    values[1:3, 1:3] = values[8:10, 8:10] = 1
    values[1:3, 8:10] = values[8:10, 1:3] = 2
    assert mask_of(Image.fromarray(values), tmp_path).max() == 4
    assert (
        "01_1.png: 2 of 2 values repeat on pieces that lie far apart; each of their 4 pieces" in capsys.readouterr().out
    )


def test_an_index_counts_and_not_its_colour(tmp_path: Path) -> None:
    values = np.zeros((SIZE, SIZE), np.uint8)
    values[1:4, 1:4], values[1:4, 4:6] = 7, 8
    picture = Image.fromarray(values, "P")
    picture.putpalette([0, 0, 0] + [255] * 765)
    assert mask_of(picture, tmp_path).max() == 2


# ------------------------------------------------------------------------------------------------------ refusing


def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path) -> None:
    def changed(name: str) -> Path:
        return write(tmp_path / name, {1: 2, 2: 1})

    (tmp_path / "nothing").mkdir()
    assert "holds no image of TNBC" in message(tmp_path / "nothing")

    folder = changed("no mask")
    (folder / "GT_01" / "01_2.png").unlink()
    assert f"{folder}/Slide_01/01_2.png has no mask in GT_01" in message(folder)

    folder = changed("no image")
    (folder / "Slide_01" / "01_1.png").unlink()
    assert f"{folder}/GT_01/01_1.png is a mask without an image" in message(folder)

    folder = changed("empty")
    (folder / "Slide_02" / "02_1.png").unlink()
    assert f"{folder}/Slide_02 holds no PNG" in message(folder)

    folder = changed("sizes")
    Image.fromarray(MASK[:-1]).save(folder / "GT_01" / "01_2.png")
    assert f"{folder}/GT_01/01_2.png has 12 x 11 px, where {folder}/Slide_01/01_1.png has 12 x 12" in message(folder)

    folder = changed("other size")
    for kind in ("Slide", "GT"):
        Image.new("RGB", (8, 8)).save(folder / f"{kind}_01" / "01_2.png")
    assert "Slide_01/01_2.png has 8 x 8 px, where" in message(folder)

    folder = changed("not square")
    Image.new("RGB", (8, 9)).save(folder / "Slide_01" / "01_1.png")
    assert "01_1.png has 8 x 9 px and is not square" in message(folder)

    folder = changed("misplaced")
    shutil.copy(folder / "Slide_02" / "02_1.png", folder / "Slide_01")
    assert "02_1.png is named after patient 2 and lies among those of Slide_01" in message(folder)

    folder = changed("twice")
    shutil.copytree(folder / "Slide_01", folder / "copy" / "Slide_01")
    assert "are the same file of TNBC" in message(folder)

    folder = changed("smoothed")
    Image.fromarray(MASK).resize((2 * SIZE, 2 * SIZE)).resize((SIZE, SIZE)).save(folder / "GT_01" / "01_1.png")
    assert f"{folder}/GT_01/01_1.png has" in message(folder) and "values that meet along" in message(folder)

    folder = changed("cut")
    path = folder / "GT_01" / "01_1.png"
    path.write_bytes(path.read_bytes()[:-30])
    assert f"{path} is no whole picture" in message(folder)


# ---------------------------------------------------------------------------------------------- whole and real


def test_the_tile_store_holds_what_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "raw", {1: 2, 4: 1})
    files = [
        SourceFile(name=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256="")
        for p in find(folder)
        for path in p.files
    ]
    source_record(CARD, "sample", folder, files).write(tmp_path / "SOURCE.json")
    convert("tnbc", tmp_path / "SOURCE.json", tmp_path / "tiles")
    shard = Shard(tmp_path / "tiles" / "patient01.h5")
    assert (len(shard), shard.info.classes) == (2, CARD.classes)
    assert shard.table()["patient"].tolist() == ["01", "01"]
    np.testing.assert_array_equal(shard.class_map(1), MASK > 0)


@pytest.mark.real
def test_all_fifty_images(real_data: Path) -> None:
    folder = real_data / "tnbc"
    patients = find(folder)
    assert [patient.count for patient in patients] == [7, 3, 5, 8, 4, 3, 3, 4, 6, 4, 3]
    sides = [CARD.official_splits[1][patient.name] for patient in patients for _ in range(patient.count)]
    assert (sides.count("train"), sides.count("test")) == (25, 25)
    nuclei = 0
    for patient in patients:
        assert patient.tile_size == 512
        for tile in patient.tiles():
            name = f"{tile.patient}_{tile.source_index}.png"
            with Image.open(folder / f"Slide_{tile.patient}" / name) as picture:
                np.testing.assert_array_equal(tile.image, np.asarray(picture)[..., :3])
            with Image.open(folder / f"GT_{tile.patient}" / name) as picture:
                pieces, count = ndimage.label(np.asarray(picture), np.ones((3, 3)))
            assert len(tile.nuclei) == tile.instance_map.max() == count
            np.testing.assert_array_equal(tile.class_map, pieces > 0)
            nuclei += count
    assert nuclei == 4028  # 4,022 are published
