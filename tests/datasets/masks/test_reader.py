"""Images and masks of one's own: every kind read to the pixel, and each way in which files can be wrong."""

import pickle
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
import tifffile
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_test
from hypothesis import strategies as st
from PIL import Image
from skimage.measure import label
from skimage.segmentation import relabel_sequential

from pipeline.base.errors import Problem
from pipeline.base.params import Masks
from pipeline.base.schema import parse
from pipeline.datasets.masks.meaning import NOWHERE
from pipeline.datasets.masks.pairs import find_pairs
from pipeline.datasets.masks.pictures import microns_of, read_image
from pipeline.datasets.masks.reader import reader
from pipeline.datasets.members import Member
from pipeline.tiles.store import Tile
from tests.own import drawn

CODES = {"background": 0, "tumour": 1, "stroma": 2}
COLOURS = {"background": "#000000", "tumour": "#ff0000", "stroma": "#00ff00"}
BASE: dict[str, Any] = {
    "images": "images",
    "masks": "masks",
    "mask_name": "{}",
    "values": "codes",
    "class_maps": "none",
    "classes": CODES,
    "ignore": "none",
    "pieces": False,
    "microns_per_pixel": 0.5,
    "tile_size": 64,
    "patient_table": "none",
    "patient_pattern": "none",
    "unpaired": "refuse",
}
FILES = st.sets(st.tuples(st.sampled_from(["a", "b", "sub/a"]), st.sampled_from(["png", "jpg", "npy", "txt"])))


def settings(**changes: Any) -> Masks:
    return parse(Masks, BASE | changes, "params.yaml")


def tiles(folder: Path, **changes: Any) -> list[Tile]:
    return [tile for part in reader(settings(**changes)).find(folder) for tile in part.tiles()]


@pytest.fixture
def truths(tmp_path: Path) -> dict[str, drawn.Truth]:
    return drawn.draw(tmp_path / "images", classes=3)


@pytest.mark.parametrize(
    ("mask", "changes"),
    [
        (drawn.grey, {}),
        (drawn.indexed, {}),
        (lambda truth: drawn.grey(truth, 100), {"classes": {"background": 0, "tumour": 100, "stroma": 200}}),
        (drawn.coloured, {"values": "colours", "classes": COLOURS}),
        (drawn.indexed, {"values": "colours", "classes": COLOURS}),
        (lambda truth: Image.fromarray(truth.codes.astype(np.uint16)), {}),
    ],
    ids=["grey", "indexed", "spread", "coloured", "palette as colours", "16 bit"],
)
def test_class_maps_are_what_was_drawn(
    tmp_path: Path, truths: dict[str, drawn.Truth], mask: Any, changes: dict[str, Any]
) -> None:
    drawn.save(tmp_path / "masks", truths, mask)
    found = tiles(tmp_path, **changes)
    assert [tile.slide for tile in found] == sorted(truths)
    for tile in found:
        assert np.array_equal(tile.class_map, truths[tile.slide].codes)
        assert np.array_equal(tile.image, np.asarray(Image.open(tmp_path / f"images/{tile.slide}.png")))
        assert not tile.instance_map.any() and not tile.nuclei and tile.patient == ""


def test_arrays_of_numpy_are_masks(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    (tmp_path / "masks").mkdir()
    for name, truth in truths.items():
        np.save(tmp_path / f"masks/{name}.npy", truth.codes)
    for tile in tiles(tmp_path):
        assert np.array_equal(tile.class_map, truths[tile.slide].codes)


def test_pieces_of_a_class_are_nuclei(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.grey)
    for tile in tiles(tmp_path, pieces=True):
        truth = truths[tile.slide]
        assert np.array_equal(tile.instance_map, label(truth.codes, background=0, connectivity=2))
        for number, code in tile.nuclei.items():
            assert set(truth.codes[tile.instance_map == number]) == {code}


def test_numbered_nuclei_of_one_class(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.numbered)
    for tile in tiles(tmp_path, values="instances", classes={"background": 0, "nucleus": 1}):
        mask = np.asarray(Image.open(tmp_path / f"masks/{tile.slide}.png")).astype(np.int64)
        assert np.array_equal(tile.instance_map, relabel_sequential(mask)[0])
        assert np.array_equal(tile.class_map, mask > 0)
        assert set(tile.nuclei.values()) == {1} and len(tile.nuclei) == len(np.unique(mask)) - 1


def test_numbered_nuclei_have_their_classes_in_a_map_beside(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.numbered)
    drawn.save(tmp_path / "codes", truths, drawn.grey)
    for tile in tiles(tmp_path, values="instances", class_maps="codes"):
        truth = truths[tile.slide]
        assert np.array_equal(tile.class_map, truth.codes)
        assert tile.nuclei == {n: truth.codes[tile.instance_map == n].max() for n in tile.nuclei}


@pytest.mark.parametrize("protocol", range(2, 6))
def test_dictionaries_of_numpy_hold_numbers_and_classes(
    tmp_path: Path, truths: dict[str, drawn.Truth], protocol: int
) -> None:
    (tmp_path / "masks").mkdir()
    for name, truth in truths.items():
        save_object(tmp_path / f"masks/{name}.npy", {"inst_map": truth.numbers, "type_map": truth.codes}, protocol)
    for tile in tiles(tmp_path, values="dictionaries"):
        truth = truths[tile.slide]
        assert np.array_equal(tile.class_map, truth.codes)
        assert np.array_equal(tile.instance_map, relabel_sequential(truth.numbers)[0])
        assert tile.nuclei == {n: truth.codes[tile.instance_map == n].max() for n in tile.nuclei}


def save_object(path: Path, value: Any, protocol: int = 4) -> None:
    """Save as numpy.save does, with this protocol of pickle."""
    with path.open("wb") as file:
        array = np.array(value, object)
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        pickle.dump(array, file, protocol)


class Evil:
    """What a pickle may do when it is loaded."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("evil"),)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Evil(), "it asks for"),
        ({"inst_map": Evil()}, "it asks for"),
        ({"inst_map": np.zeros((64, 64), int)}, "type_map"),
        ({"inst_map": np.zeros((64, 64), int), "type_map": np.zeros((64, 63), int)}, "save it again"),
        ({"inst_map": "a", "type_map": np.zeros((64, 64), int)}, "a mask is whole numbers"),
        ([1, 2], "is no dictionary"),
    ],
)
def test_other_objects_are_not_made(
    tmp_path: Path, truths: dict[str, drawn.Truth], monkeypatch: pytest.MonkeyPatch, value: Any, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks").mkdir()
    for name in truths:
        save_object(tmp_path / f"masks/{name}.npy", value)
    with pytest.raises(Problem, match=words):
        tiles(tmp_path, values="dictionaries")
    assert not Path("evil").exists()


def test_what_is_ignored_counts_nowhere(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.grey)
    for tile in tiles(tmp_path, classes={"background": 0, "tumour": 1}, ignore=2):
        codes = truths[tile.slide].codes
        assert np.array_equal(tile.class_map, np.where(codes == 2, NOWHERE, codes))


def test_images_are_cut_and_filled_up(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.numbered)
    found = tiles(tmp_path, values="instances", classes={"background": 0, "nucleus": 1}, tile_size=48)
    assert len(found) == 4 * len(truths)
    assert [(tile.x, tile.y) for tile in found[:4]] == [(0, 0), (48, 0), (0, 48), (48, 48)]
    for first, *_, last in (found[start : start + 4] for start in range(0, len(found), 4)):
        whole = truths[first.slide].numbers
        assert np.array_equal(first.instance_map > 0, whole[:48, :48] > 0)
        assert np.array_equal(last.class_map[:16, :16], whole[48:, 48:] > 0)
        assert (last.class_map[16:] == NOWHERE).all() and (last.image[16:] == 255).all()
        assert set(last.nuclei) == set(np.unique(last.instance_map)) - {0}


def test_images_of_other_sizes_and_smaller_than_a_tile(tmp_path: Path) -> None:
    small, large = drawn.draw(tmp_path / "images/a", size=48), drawn.draw(tmp_path / "images/b", size=80)
    drawn.save(tmp_path / "masks/a", small, drawn.grey)
    drawn.save(tmp_path / "masks/b", large, drawn.grey)
    (part,) = reader(settings()).find(tmp_path)
    found = list(part.tiles())
    assert part.count == len(found) == len(small) + 4 * len(large)
    assert all(tile.image.shape == (64, 64, 3) for tile in found)


def test_patients_from_a_table_or_a_pattern(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.grey)
    rows = [f"{name}.png;NA {name[:2]}" for name in truths]
    (tmp_path / "patients.csv").write_text("\n".join(["Image;Patient ID", *rows]))
    assert {t.slide: t.patient for t in tiles(tmp_path, patient_table="patients.csv")} == {
        name: f"NA {name[:2]}" for name in truths
    }
    book = openpyxl.Workbook()
    for line in [["Our images"], ["Image", "Patient Id"], *([name, name[:2]] for name in truths)]:
        book.active.append(line)
    first = [row for row, name in enumerate(truths, start=3) if name.startswith("p1")]
    book.active.merge_cells(start_row=first[0], end_row=first[-1], start_column=2, end_column=2)
    book.save(tmp_path / "patients.xlsx")
    merged = {t.slide: t.patient for t in tiles(tmp_path, patient_table="patients.xlsx")}
    assert merged == {name: name[:2] for name in truths}
    found = {tile.patient for tile in tiles(tmp_path, patient_pattern=r"^(p\d)_")}
    assert found == {"p1", "p2", "p3", "p4"}
    part = reader(settings(patient_table="patients.csv")).find(tmp_path)[0]
    assert tmp_path / "patients.csv" in part.files


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,patient\np1_0,a\np1_0,b\n", "gives p1_0 two patients, a and b; correct one row"),
        ("image,patient\np1_0,a\n", "does not tell the patient of p1_1 and of 6 more; add a row for each"),
        ("image,age\np1_0,a\n", "has no column of images and none of patients; call one `image` and one `patient`"),
        (
            "image,patient,case\np1_0,a,b\n",
            "has several columns of one meaning, 'patient' and 'case'; keep one of them",
        ),
        ("image,patient\np1_0,\n", "row 2 tells no patient of p1_0"),
        ("", "has no column of images and none of patients"),
    ],
)
def test_a_table_of_patients_that_cannot_be_used(
    tmp_path: Path, truths: dict[str, drawn.Truth], text: str, words: str
) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.grey)
    (tmp_path / "patients.csv").write_text(text)
    with pytest.raises(Problem, match=words):
        tiles(tmp_path, patient_table="patients.csv")


@pytest.mark.parametrize("pattern", [r"^(q\d)_", "("])
def test_a_pattern_that_finds_no_patient(tmp_path: Path, truths: dict[str, drawn.Truth], pattern: str) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.grey)
    with pytest.raises(Problem, match="the pattern of patients"):
        tiles(tmp_path, patient_pattern=pattern)


def test_files_without_their_half_are_refused_or_skipped(
    tmp_path: Path, truths: dict[str, drawn.Truth], capsys: pytest.CaptureFixture[str]
) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.grey)
    (tmp_path / "masks/p1_0.png").unlink()
    (tmp_path / "images/p2_0.png").unlink()
    (tmp_path / "images/notes.txt").touch()
    with pytest.raises(Problem, match=r"p1_0.png has no mask p1_0 in masks \(and 1 more are alone\); add the missing"):
        tiles(tmp_path)
    capsys.readouterr()
    assert len(tiles(tmp_path, unpaired="skip")) == len(truths) - 2
    told = capsys.readouterr().out
    assert f"images: found 8 files = used {len(truths) - 2} + left out 2 (" in told and "notes.txt" in told
    assert f"masks: found 7 files = used {len(truths) - 2} + left out 1 (without the other half: 1, p2_0.png)" in told


def test_masks_may_lie_within_the_folder_of_images(
    tmp_path: Path, truths: dict[str, drawn.Truth], capsys: pytest.CaptureFixture[str]
) -> None:
    drawn.save(tmp_path / "images/masks", truths, drawn.grey)
    assert len(tiles(tmp_path / "images", images=".", masks="masks")) == len(truths)
    told = capsys.readouterr().out
    assert "images: found 16 files = used 16 + left out 0" in told
    assert "masks: found 8 files = used 8 + left out 0" in told


@settings_of_test(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES, FILES)
def test_found_is_used_and_left_out(
    capsys: pytest.CaptureFixture[str], images: set[tuple[str, str]], masks: set[tuple[str, str]]
) -> None:
    capsys.readouterr()
    with tempfile.TemporaryDirectory() as folder:
        for place, files in (("images", images), ("masks", masks)):
            for name, suffix in files:
                path = Path(folder, place, f"{name}.{suffix}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            Path(folder, place).mkdir(exist_ok=True)
        try:
            pairs = find_pairs(Path(folder), settings(unpaired="skip"))
        except Problem as problem:  # two files of one name, or no pair
            assert re.search("have one name|add the missing file|no image", str(problem))
            return
    told = re.findall(r"found (\d+) files = used (\d+) \+ left out (\d+)", capsys.readouterr().out)
    found, used, left = (tuple(map(int, column)) for column in zip(*told, strict=True))
    assert found == (len(images), len(masks)) and used == (len(pairs), len(pairs))
    assert all(f == u + n for f, u, n in zip(found, used, left, strict=True))
    both = {n for n, s in images if s in ("png", "jpg")} & {n for n, s in masks if s in ("png", "npy")}
    assert {pair.name for pair in pairs} >= both  # more where a bare name pairs: test_pairs.py


def test_everything_wrong_is_told_at_once(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.grey)
    (tmp_path / "masks/p1_0.png").write_bytes(b"no picture")
    Image.new("L", (10, 10)).save(tmp_path / "masks/p1_1.png")
    Image.new("L", (64, 64), 7).save(tmp_path / "masks/p2_0.png")
    (tmp_path / "images/p3_0.png").write_bytes(b"no picture")
    (part,) = reader(settings()).find(tmp_path)
    assert part.count == len(truths) - 1  # so that `convert` tries the others, too
    with pytest.raises(Problem) as problem:
        list(part.tiles())
    first, second, third, fourth = str(problem.value).splitlines()
    assert "p1_0.png is no whole picture" in first and first.endswith("save it again, or move it away.")
    assert "p1_1.png has 10 x 10 px, its image" in second and "64 x 64; export one of them again." in second
    assert "p2_0.png holds the value 7, which no class has; add it to the legend" in third
    assert "images/p3_0.png is no whole picture" in fourth


def test_every_class_map_that_is_missing_is_counted(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.numbered)
    drawn.save(tmp_path / "codes", truths, drawn.grey)
    for name in ("p1_0", "p2_0", "p3_0"):
        (tmp_path / f"codes/{name}.png").unlink()
    with pytest.raises(Problem, match="codes has no class map named p1_0, nor of 2 more; add it"):
        tiles(tmp_path, values="instances", class_maps="codes")


def test_a_colour_that_the_legend_lacks(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.coloured)
    with pytest.raises(Problem, match="holds the colour #00ff00, which no class has"):
        tiles(tmp_path, values="colours", classes={"background": "#000000", "tumour": "#ff0000"})


def test_two_files_of_one_name(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.grey)
    Image.new("RGB", (64, 64)).save(tmp_path / "images/p1_0.jpg")
    with pytest.raises(Problem, match="have one name, p1_0; move one of them away"):
        tiles(tmp_path)


def test_an_array_with_objects_is_not_loaded(tmp_path: Path, truths: dict[str, drawn.Truth]) -> None:
    drawn.save(tmp_path / "masks", truths, drawn.grey)
    (tmp_path / "masks/p1_0.png").unlink()
    np.save(tmp_path / "masks/p1_0.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(Problem, match="npy is no array of numbers"):
        tiles(tmp_path)


def test_images_of_sixteen_bits_and_of_grey(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", values, resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    Image.fromarray((values[..., 0] >> 8).astype(np.uint8)).save(tmp_path / "grey.bmp")

    def member(name: str) -> Member:
        return Member(tmp_path / name, Path(name))  # type: ignore[arg-type]

    assert np.array_equal(read_image(member("deep.tif")), values >> 8)
    assert microns_of(member("deep.tif")) == pytest.approx(0.5)
    assert np.array_equal(read_image(member("grey.bmp")), np.repeat(values[..., :1] >> 8, 3, axis=2))
    assert microns_of(member("grey.bmp")) is None


@pytest.mark.real
def test_real_pairs_with_instance_ids(real_data: Path) -> None:
    folder = real_data / "nuclei_pairs"
    changes = {"masks": "instances", "values": "instances", "classes": {"background": 0, "nucleus": 1}}
    (part,) = reader(settings(**changes, tile_size=256, patient_pattern="^(TCGA-..-....)")).find(folder)
    assert len(part.items) == 17 and part.count == 17 * 16 and len(set(part.patients.values())) == 17
    for pair in part.items[::6]:
        found = part.read(pair)
        mask = np.asarray(Image.open(pair.mask.path)).astype(np.int64)
        assert np.array_equal(found.image, np.asarray(Image.open(pair.image.path).convert("RGB")))
        assert np.array_equal(found.class_map, mask > 0)
        pairs = np.unique(np.stack([mask.ravel(), found.instance_map.ravel()]), axis=1)  # one to one
        assert len(set(pairs[0])) == len(set(pairs[1])) == pairs.shape[1]
