"""PanNuke's folds are found in every layout, read exactly, and refused in one sentence where they are wrong."""

import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.base.errors import Problem
from pipeline.datasets.pannuke.card import CARD
from pipeline.datasets.pannuke.reader import count_conflict, find, merge

SIZE = 16  # px
Arrays = dict[str, Any]


def make_arrays(count: int = 3) -> Arrays:
    """A fold's three arrays in the official dtypes; an id occurs in two channels, as in the original."""
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, SIZE, SIZE, 3)).astype(float)
    masks = np.zeros((count, SIZE, SIZE, 6))
    masks[:, 1:5, 1:5, 0] = 1
    masks[:, 6:9, 1:5, 0] = 7
    masks[:, 1:5, 8:12, 4] = 1
    masks[..., 5] = ~masks.any(axis=-1)
    return {"images": images, "masks": masks, "types": np.array(["Breast", "Colon", "Bile-duct"] * count)[:count]}


def write_fold(folder: Path, fold: int = 1, outer: str = "Fold {}", **changed: Any) -> Path:
    """Write a fold in the official layout under `folder`; `changed` replaces arrays."""
    for name, values in (make_arrays() | changed).items():
        path = folder / outer.format(fold) / ("masks" if name == "masks" else "images") / f"fold{fold}" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values)
    return folder


def zip_fold(folder: Path, fold: int = 1) -> Path:
    """The fold under `folder` as a zip beside it, with the rubbish that a Mac adds."""
    target = folder.with_name(f"{folder.name}-zipped") / f"fold_{fold}.zip"
    target.parent.mkdir()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.npy")):
            archive.write(path, path.relative_to(folder))
            archive.writestr(f"__MACOSX/{path.relative_to(folder)}", b"rubbish")
    return target


def read_all(folder: Path) -> list[Any]:
    return [tile for fold in find(folder) for tile in fold.tiles()]


def message(folder: Path) -> str:
    """The one sentence with which reading the folder ends."""
    with pytest.raises(Problem) as problem:
        read_all(folder)
    text = str(problem.value)
    assert text.endswith(".") and "\n" not in text
    return text


def assert_same(tiles: list[Any], others: list[Any]) -> None:
    assert len(tiles) == len(others) > 0
    for tile, other in zip(tiles, others, strict=True):
        for name in vars(tile):
            np.testing.assert_array_equal(getattr(tile, name), getattr(other, name), err_msg=name)


# ------------------------------------------------------------------------------------------------------ finding


def test_a_fold_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = make_arrays()
    (fold,) = find(write_fold(tmp_path))
    assert (fold.name, fold.count, fold.tile_size) == ("fold1", 3, SIZE)
    assert [path.name for path in fold.files] == ["images.npy", "types.npy", "masks.npy"]
    for index, tile in enumerate(fold.tiles()):
        assert tile.image.dtype == np.uint8
        np.testing.assert_array_equal(tile.image, written["images"][index])
        assert (tile.source_index, tile.group, tile.patient, tile.slide) == (index, written["types"][index], "", "")
        assert dict(tile.nuclei) == {1: 1, 2: 1, 3: 5}
        assert [tile.instance_map[place] for place in ((2, 2), (7, 2), (2, 9), (0, 0))] == [1, 2, 3, 0]
        assert [tile.class_map[place] for place in ((2, 2), (7, 2), (2, 9), (0, 0))] == [1, 1, 5, 0]
        assert (tile.overlap, tile.conflict) == (0, 0)


@pytest.mark.parametrize("outer", ["Fold {}", "fold_{}", "FOLD{}", "pannuke/Fold {}", "."])
def test_spellings_of_a_folder(tmp_path: Path, outer: str) -> None:
    for number in (3, 1):
        write_fold(tmp_path, number, outer)
    assert [fold.name for fold in find(tmp_path)] == ["fold1", "fold3"]


def test_a_flat_folder_is_found(tmp_path: Path) -> None:
    for name, values in make_arrays().items():
        (tmp_path / "fold2").mkdir(exist_ok=True)
        np.save(tmp_path / "fold2" / f"{name}.npy", values)
    assert [fold.name for fold in find(tmp_path)] == ["fold2"]


def test_a_zip_gives_what_its_folder_gives(tmp_path: Path) -> None:
    unpacked = write_fold(tmp_path / "raw", 2)
    archive = zip_fold(unpacked, 2)
    (fold,) = find(archive.parent)
    assert (fold.name, fold.files) == ("fold2", [archive])
    assert_same(list(fold.tiles()), read_all(unpacked))


@pytest.mark.parametrize("name", ["fold_1.zip", "fold_2.zip"])
def test_an_unpacked_fold_goes_before_its_zip(tmp_path: Path, name: str) -> None:
    unpacked = write_fold(tmp_path / "raw")
    zip_fold(unpacked).rename(unpacked / name)
    (fold,) = find(unpacked)
    assert {path.suffix for path in fold.files} == {".npy"}


@pytest.mark.parametrize("dtype", ["u1", "i2", "f2", "f4", ">f8", "u8"])
def test_other_number_types_give_the_same_tiles(tmp_path: Path, dtype: str) -> None:
    made = make_arrays()
    changed = {"images": made["images"].astype(dtype), "masks": made["masks"].astype(dtype)}
    assert_same(
        read_all(write_fold(tmp_path / "a", **changed, types=made["types"].astype("S"))),
        read_all(write_fold(tmp_path / "b")),
    )


# ------------------------------------------------------------------------------------------------------- merging


@given(arrays.arrays(np.int32, (4, 5, 5), elements=st.sampled_from([0, 0, 1, 2, 9, 2**31 - 1])))
def test_merging_against_the_definition(ids: Any) -> None:
    class_map, instance_map, nuclei = merge(ids)
    owner = {}
    for place in np.ndindex(ids.shape[:2]):
        claims = [(channel + 1, int(ids[place][channel])) for channel in range(5) if ids[place][channel]]
        owner[place] = claims[-1] if claims else None
    numbers = {nucleus: number for number, nucleus in enumerate(sorted({o for o in owner.values() if o}), start=1)}
    for place, nucleus in owner.items():
        assert class_map[place] == (nucleus[0] if nucleus else 0)
        assert instance_map[place] == (numbers[nucleus] if nucleus else 0)
    assert nuclei == {number: code for (code, _), number in numbers.items()}
    assert (class_map.dtype, instance_map.dtype) == (np.uint8, np.int32)


def test_the_later_channel_wins_and_a_covered_nucleus_is_gone(tmp_path: Path) -> None:
    masks = make_arrays()["masks"]
    masks[1, 6:9, 1:5, 2] = 4  # covers neoplastic nucleus 7
    tile = read_all(write_fold(tmp_path, masks=masks))[1]
    assert dict(tile.nuclei) == {1: 1, 2: 3, 3: 5}
    assert (tile.overlap, tile.class_map[7, 2]) == (12, 3)


@given(
    arrays.arrays(np.int32, (5, 6), elements=st.sampled_from([0, 1])),
    arrays.arrays(np.bool_, (5, 6)),
)
def test_conflicts_are_counted_or_refused(background: Any, nucleus: Any) -> None:
    both = sum(bool(b) and bool(n) for b, n in zip(background.flat, nucleus.flat, strict=True))
    neither = sum(not b and not n for b, n in zip(background.flat, nucleus.flat, strict=True))
    if both > nucleus.sum() / 2:
        with pytest.raises(Problem, match="tile 4 disagrees with itself"):
            count_conflict(background, nucleus, "masks.npy: tile 4")
    else:
        assert count_conflict(background, nucleus, "") == both + neither


def test_a_conflict_in_a_sliver_is_counted() -> None:
    nucleus = np.zeros((SIZE, SIZE), bool)
    nucleus[0, :2] = True  # 2 of 256 px, all of them marked as background too
    assert count_conflict(np.ones((SIZE, SIZE), np.int32), nucleus, "") == 2


def test_a_tile_without_nuclei_or_background_is_counted(tmp_path: Path) -> None:
    masks = make_arrays()["masks"]
    masks[2] = 0
    assert [tile.conflict for tile in read_all(write_fold(tmp_path, masks=masks))] == [0, 0, SIZE * SIZE]


# ------------------------------------------------------------------------------------------------------ refusing

Change = Callable[[Arrays], Any]


def put(name: str, index: Any, value: float) -> Change:
    """A change that puts one value into one array."""

    def change(made: Arrays) -> None:
        made[name][index] = value

    return change


def exchange(name: str, make: Callable[[Any], Any]) -> Change:
    """A change that makes another array of one array."""
    return lambda made: made.update({name: make(made[name])})


REFUSED: dict[str, tuple[str, str, Change]] = {
    "NaN in an image": ("images.npy", "tile 1 holds NaN", put("images", (1, 2, 3, 0), np.nan)),
    "infinity in a mask": ("masks.npy", "tile 2 holds NaN or an infinite", put("masks", (2, 0, 0, 1), np.inf)),
    "too bright": (
        "images.npy",
        r"tile 0 holds values from \d+ to 256, outside 0 to 255",
        put("images", (0, 0, 0, 0), 256),
    ),
    "too dark": ("images.npy", "tile 2 holds values from -1 to", put("images", (2, 0, 0, 0), -1)),
    "fractions": ("images.npy", "tile 0 holds values that are no whole numbers", put("images", (0, 0, 0, 0), 0.5)),
    "negative id": ("masks.npy", "tile 1 holds values from -2 to", put("masks", (1, 0, 0, 0), -2)),
    "fraction of an id": ("masks.npy", "tile 1 holds values that are no", put("masks", (1, 0, 0, 0), 1.5)),
    "an id beyond int32": (
        "masks.npy",
        "tile 0 holds values from 0 to 4.29497e",
        put("masks", (0, 0, 0, 0), 2**32 + 1),
    ),
    "ids in channel 5": ("masks.npy", "tile 1 has several ids in channel 5", put("masks", (1, 0, slice(4), 5), 9)),
    "inverted background": (
        "masks.npy",
        "tile 0 disagrees with itself: channel 5 marks 44 of the 44 px",
        exchange("masks", lambda m: np.concatenate([m[..., :5], 1 - m[..., 5:]], -1)),
    ),
    "flat images": ("images.npy", r"has the shape \(3, 768\), not", exchange("images", lambda a: a.reshape(3, -1))),
    "RGBA": ("images.npy", r"has the shape \(3, 16, 16, 4\)", exchange("images", lambda a: a[..., [0, 1, 2, 2]])),
    "no square": ("images.npy", "with square tiles", exchange("images", lambda a: a[:, :8])),
    "no tiles": ("images.npy", r"has the shape \(0,", exchange("images", lambda a: a[:0])),
    "five channels": ("masks.npy", r"not \(3, 16, 16, 6\)", exchange("masks", lambda a: a[..., :5])),
    "fewer masks": ("masks.npy", "has 3 tiles of 16 px", exchange("masks", lambda a: a[:2])),
    "smaller masks": ("masks.npy", "has 3 tiles of 16 px", exchange("masks", lambda a: a[:, :8, :8])),
    "fewer types": ("types.npy", r"has the shape \(2,\), not \(3,\)", exchange("types", lambda a: a[:2])),
    "complex": ("images.npy", "holds values of type complex128", exchange("images", lambda a: a.astype(complex))),
    "yes and no": ("masks.npy", "holds values of type bool", exchange("masks", lambda a: a.astype(bool))),
    "numbers as types": (
        "types.npy",
        "holds values of type int64, not text",
        exchange("types", lambda a: np.arange(3)),
    ),
    "pickles": ("types.npy", "holds values of type object", exchange("types", lambda a: a.astype(object))),
    "a tissue unknown": (
        "types.npy",
        "tile 1 is of the tissue 'breast', not",
        exchange("types", lambda a: np.array(["Breast", "breast", "Colon"])),
    ),
    "no text": (
        "types.npy",
        "tile 0 is of the tissue",
        exchange("types", lambda a: np.full(12, 2**31 - 1, "<i4").view("<U4")),
    ),
    "Fortran order": ("images.npy", "Fortran order", exchange("images", np.asfortranarray)),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_wrong_array_is_refused_by_name(tmp_path: Path, name: str, zipped: bool) -> None:
    file, sentence, change = REFUSED[name]
    made = make_arrays()
    change(made)
    folder = write_fold(tmp_path / "raw", **made)
    if zipped:
        folder = zip_fold(folder).parent
    with pytest.raises(Problem, match=f"{file}.*{sentence}"):
        read_all(folder)
    assert message(folder)


def test_a_truncated_file_names_its_tile(tmp_path: Path) -> None:
    write_fold(tmp_path)
    path = tmp_path / "Fold 1/masks/fold1/masks.npy"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert f"{path} is cut short: it ends within tile 1 of 3" in message(tmp_path)
    path.write_bytes(content + b"xyz")
    assert f"{path} is 3 bytes longer than its header says" in message(tmp_path)
    path.write_bytes(content[:20])
    assert f"{path} cannot be read as an .npy file" in message(tmp_path)


def test_text_of_no_width(tmp_path: Path) -> None:
    path = write_fold(tmp_path) / "Fold 1/images/fold1/types.npy"
    path.write_bytes(path.read_bytes().replace(b"'<U9'", b"'<U0'"))
    assert f"{path} holds values of type <U0, not text" in message(tmp_path)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    (fold,) = find(write_fold(tmp_path))
    assert fold.count == 3
    path = tmp_path / "Fold 1/images/fold1/images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Problem, match="cut short: it ends within tile 2"):
        list(fold.tiles())


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_for_an_array_are_a_problem(tmp_path_factory: Any, content: bytes, magic: bool) -> None:
    folder = write_fold(tmp_path_factory.mktemp("fold"))
    path = folder / "Fold 1/masks/fold1/masks.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" * magic + content)
    assert str(path) in message(folder)


def test_a_damaged_zip(tmp_path: Path) -> None:
    archive = zip_fold(write_fold(tmp_path / "raw"))
    content = bytearray(archive.read_bytes())
    archive.write_bytes(content[: len(content) // 2])
    assert f"{archive} is no whole zip" in message(archive.parent)
    with zipfile.ZipFile(tmp_path / "stored.zip", "w") as stored:  # not deflated: only the checksum can tell
        for path in (tmp_path / "raw").rglob("*.npy"):
            stored.write(path, path.relative_to(tmp_path / "raw"))
    content = bytearray((tmp_path / "stored.zip").read_bytes())
    place = content.index(make_arrays()["images"][1].tobytes())
    content[place : place + 8] = np.float64(77 if make_arrays()["images"][1, 0, 0, 0] != 77 else 78).tobytes()
    archive.write_bytes(content)
    assert f"{archive}: Fold 1/images/fold1/images.npy is damaged at or before tile 2" in message(archive.parent)


def test_a_wrong_checksum_in_a_zip(tmp_path: Path) -> None:
    archive = zip_fold(write_fold(tmp_path / "raw"))
    with zipfile.ZipFile(archive) as opened:
        checksum = opened.getinfo("Fold 1/masks/fold1/masks.npy").CRC.to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(checksum, bytes(4)))
    assert f"{archive}: Fold 1/masks/fold1/masks.npy is damaged at or before tile 2" in message(archive.parent)


def test_an_unsafe_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "fold_1.zip", "w") as archive:
        archive.writestr("../Fold 1/images/fold1/images.npy", b"")
    assert "would leave the folder" in message(tmp_path)


def test_a_folder_without_folds(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", make_arrays()["images"])  # of no fold
    assert f"{tmp_path} holds no fold of PanNuke" in message(tmp_path)


def test_an_incomplete_fold(tmp_path: Path) -> None:
    write_fold(tmp_path)
    (tmp_path / "Fold 1/masks/fold1/masks.npy").unlink()
    assert "but no masks.npy" in message(tmp_path)


def test_a_fold_that_is_there_twice(tmp_path: Path) -> None:
    write_fold(tmp_path)
    write_fold(tmp_path, outer="copy of fold {}")
    assert "are both the images of fold 1" in message(tmp_path)


# ---------------------------------------------------------------------------------------------------------- real


@pytest.mark.real
def test_the_real_fold_against_its_masks(real_data: Path) -> None:
    (fold,) = find(real_data / "pannuke")
    masks = np.load(real_data / "pannuke/Fold 3/masks/fold3/masks.npy")
    images = np.load(real_data / "pannuke/Fold 3/images/fold3/images.npy")
    assert (fold.name, fold.count, fold.tile_size) == ("fold3", 15, 256)
    groups = Counter()
    for tile, image, mask in zip(fold.tiles(), images, masks, strict=True):
        groups[tile.group] += 1
        np.testing.assert_array_equal(tile.image, image)
        expected = Counter({channel + 1: len(set(mask[..., channel].flat) - {0.0}) for channel in range(5)})
        assert Counter(tile.nuclei.values()) == +expected
        for number, code in tile.nuclei.items():
            inside = tile.instance_map == number
            (nucleus,) = set(mask[inside][:, code - 1])  # one id of the channel, and all of its pixels
            assert inside.sum() == (mask[..., code - 1] == nucleus).sum() > 0
        np.testing.assert_array_equal(tile.class_map == 0, mask[..., 5] == 1)
        assert (tile.overlap, tile.conflict) == (0, 0)
    assert groups["Breast"] == groups["Esophagus"] == groups["Testis"] == 3
    assert len(CARD.classes) == masks.shape[-1]
