"""A picture of labels is read by its numbers, whatever its kind, and refused where it alone does not tell them."""

import io
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy import ndimage

from pipeline.base.errors import Problem
from pipeline.datasets.labels import number_nuclei, read_labels
from pipeline.datasets.members import Member

CODES = np.zeros((24, 30), np.uint8)
CODES[2:6, 2:7], CODES[2:6, 7:12], CODES[12:20, 20:26] = 1, 2, 9  # the first two touch
LINES = [0, 0, 0] + [0, 114, 189, 217, 83, 25] * 120  # a palette of two colours that repeat


def member(content: bytes, folder: Path, suffix: str = "png") -> Member:
    path = folder / f"mask.{suffix}"
    path.write_bytes(content)
    return Member(path, PurePosixPath(path.name))


def saved(picture: Any, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def read(picture: Any, folder: Path, kind: str = "PNG", **options: Any) -> Any:
    return read_labels(member(saved(picture, kind, **options), folder))


def refusal(content: bytes, folder: Path) -> str:
    with pytest.raises(Problem) as problem:
        read_labels(member(content, folder))
    text = str(problem.value)
    assert text.startswith(str(folder)) and text.endswith(".") and "\n" not in text
    return text


def indexed(indices: Any, palette: list[int]) -> Any:
    picture = Image.fromarray(indices, "P")
    picture.putpalette(palette)
    return picture


def with_alpha(colours: Any, alpha: Any) -> Any:
    return Image.fromarray(np.dstack([np.broadcast_to(colours, (*CODES.shape, 3)), alpha]).astype(np.uint8))


# --------------------------------------------------------------------------------------------------- kinds of pictures

KINDS = {
    "8 bits": lambda: Image.fromarray(CODES),
    "16 bits": lambda: Image.fromarray(CODES.astype(np.uint16)),
    "indices": lambda: indexed(CODES, LINES),
    "indices, all white": lambda: indexed(CODES, [0, 0, 0] + [255] * 765),
    "indices, all black": lambda: indexed(CODES, [0] * 768),
    "indices, white background": lambda: indexed(CODES, [255, 255, 255, *LINES[3:]]),
    "grey in three channels": lambda: Image.fromarray(np.dstack([CODES] * 3)),
    "opaque alpha": lambda: with_alpha(CODES[..., None], np.full_like(CODES, 255)),
    "alpha of nothing": lambda: with_alpha(CODES[..., None], np.zeros_like(CODES)),
    "alpha as the labels": lambda: with_alpha(CODES[..., None], np.where(CODES, 255, 0)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_what_was_written(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.testing.assert_array_equal(read(KINDS[kind](), tmp_path), CODES)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2", np.int32, np.float32])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_tiffs_of_any_depth(dtype: Any, compression: Any, tmp_path: Path) -> None:
    import tifffile

    values = (CODES.astype(np.float64) * (28 if dtype == np.uint8 else 3000)).astype(dtype)
    tifffile.imwrite(tmp_path / "m.tif", values, byteorder=">" if dtype == ">u2" else "<")
    content = (tmp_path / "m.tif").read_bytes()
    if compression:
        with Image.open(io.BytesIO(content)) as picture:
            content = saved(picture, "TIFF", compression=compression)
    np.testing.assert_array_equal(read_labels(member(content, tmp_path, "tif")), values)


@given(values=arrays.arrays(st.sampled_from([np.uint8, np.uint16]), (5, 6)))
def test_any_numbers_come_back(values: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    np.testing.assert_array_equal(read(Image.fromarray(values), tmp_path_factory.mktemp("any")), values)


@given(values=arrays.arrays(np.uint8, (5, 6, 3)))
def test_colours_are_as_many_numbers(values: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = read(Image.fromarray(values), tmp_path_factory.mktemp("colours"))
    pixels = [tuple(colour) for colour in values.reshape(-1, 3).tolist()]
    colours = set(pixels)
    assert len(np.unique(found)) == len(colours) and ((found == 0) == ~values.any(axis=-1)).all()
    assert len(set(zip(found.ravel().tolist(), map(tuple, values.reshape(-1, 3).tolist()), strict=True))) == len(
        colours
    )


def test_one_bit(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(Image.fromarray(CODES > 0), tmp_path), CODES > 0)


@pytest.mark.parametrize("colour", [0, 90, 255])
def test_a_mask_that_lies_in_the_alpha_is_read_and_told(
    colour: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(with_alpha(np.uint8(colour), np.where(CODES, 255, 0)), tmp_path)
    np.testing.assert_array_equal(found > 0, CODES > 0)
    assert len(np.unique(found)) == 2
    assert f"its {(CODES == 0).sum()} transparent px are background" in capsys.readouterr().out


def test_colours_under_transparent_pixels_are_background_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden = np.where(CODES, CODES, 77)
    np.testing.assert_array_equal(read(with_alpha(hidden[..., None], np.where(CODES, 255, 0)), tmp_path), CODES)
    assert "transparent px are background" in capsys.readouterr().out


def test_a_transparent_grey_value_is_alpha(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(Image.fromarray(CODES), tmp_path, transparency=0), CODES)
    np.testing.assert_array_equal(
        read(Image.fromarray(CODES + np.uint8(5)), tmp_path, transparency=5), np.where(CODES, CODES + 5, 0)
    )


def narrow_png(values: Any, bits: int) -> bytes:
    """A grey PNG of 2 or 4 bits, which Pillow does not write."""
    height, width = values.shape
    shifts = np.arange(8 - bits, -1, -bits)
    packed = (values.reshape(height, -1, 8 // bits) << shifts).sum(axis=-1).astype(np.uint8)
    lines = zlib.compress(b"".join(b"\0" + line.tobytes() for line in packed))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)

    header = width.to_bytes(4) + height.to_bytes(4) + bytes([bits, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def cut_off() -> bytes:
    """Labels beyond the palette's end."""
    return saved(indexed(np.minimum(CODES, 3), LINES[:9]))


REFUSED = {
    "index beyond": (cut_off, "holds the index 3, but its palette has 3 colours"),
    "black is not 0": (lambda: saved(indexed(CODES, [255] * 3 + [9] * 24 + [0] * 3)), "index 9 is black and 0 is not"),
    "16-bit colours": (lambda: imagecodecs.png_encode(np.zeros((4, 4, 3), np.uint16)), "of 16 bits"),
    "16-bit alpha": (lambda: imagecodecs.png_encode(np.zeros((4, 4, 2), np.uint16)), "of 16 bits"),
    "2 bits": (lambda: narrow_png(np.tile([0, 1, 2, 3], (4, 1)), 2), "grey of 2 bits"),
    "4 bits": (lambda: narrow_png(np.tile([0, 1], (4, 1)), 4), "grey of 4 bits"),
    "several": (
        lambda: saved(Image.fromarray(CODES), "TIFF", save_all=True, append_images=[Image.fromarray(CODES)]),
        "holds 2 pictures",
    ),
    "fractions": (lambda: saved(Image.fromarray(CODES / np.float32(2)), "TIFF"), "no whole numbers"),
    "NaN": (lambda: saved(Image.fromarray(np.full((3, 3), np.nan, np.float32)), "TIFF"), "no whole numbers"),
    "infinite": (lambda: saved(Image.fromarray(np.full((3, 3), np.inf, np.float32)), "TIFF"), "no whole numbers"),
    "negative": (lambda: saved(Image.fromarray(CODES.astype(np.int32) - 1), "TIFF"), "holds the value -1, below 0"),
    "half transparent": (lambda: saved(with_alpha(CODES[..., None], np.where(CODES, 255, 9))), "half-transparent"),
    "black beside": (
        lambda: saved(with_alpha(np.where(CODES == 9, 0, CODES + 1)[..., None], np.where(CODES == 2, 0, 255))),
        "black and transparent px",
    ),
    "printer's colours": (lambda: saved(Image.new("CMYK", (4, 4)), "TIFF"), "its mode is CMYK"),
    "no picture": (lambda: b"hello", "is no whole picture"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_picture_alone_does_not_tell_is_refused(kind: str, tmp_path: Path) -> None:
    content, wanted = REFUSED[kind]
    assert wanted in refusal(content(), tmp_path)


@given(data=st.data())
def test_a_damaged_picture_ends_in_a_sentence(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    content = bytearray(saved(KINDS[kind](), data.draw(st.sampled_from(["PNG", "TIFF"]))))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    damaged = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        labels = read_labels(member(damaged, tmp_path_factory.mktemp("damaged")))
        assert labels.ndim == 2 and labels.dtype.kind in "iu" and labels.min() >= 0
    except Problem as problem:
        assert str(problem).endswith(".")


# -------------------------------------------------------------------------------------------------------------- nuclei


def disks(places: Any, radius: int = 5) -> Any:
    """Numbers of disks (1, 2, ...) at some places of a picture, (200, 200)."""
    y, x = np.mgrid[:200, :200]
    found = np.zeros((200, 200), np.int64)
    for number, (row, column) in enumerate(places, start=1):
        found[(y - row) ** 2 + (x - column) ** 2 <= radius**2] = number
    return found


GRID = [(row, column) for row in range(10, 190, 20) for column in range(10, 190, 20)]


def same(found: Any, expected: Any) -> bool:
    """Whether two maps part the picture alike."""
    pairs = set(zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True))
    return len(pairs) == len(np.unique(found)) == len(np.unique(expected)) and (0, 0) in pairs


@pytest.mark.parametrize("count", [2, 3, 5, 8, 12, 40])
def test_colours_that_repeat_are_nuclei_of_their_own(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    truth = disks(GRID)
    found = number_nuclei(np.where(truth, truth % count + 1, 0), "mask.png")
    assert found.max() == len(GRID) == 81 and same(found, truth)
    assert f"{count} of {count} values repeat on pieces that lie far apart" in capsys.readouterr().out


def test_a_nucleus_in_pieces_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    labels = disks(GRID[::2], 9)
    labels[:20, 8:13] = np.where(labels[:20, 8:13], 99, 0)  # lies over the first, which is left on both sides
    found = number_nuclei(labels, "mask.png")
    assert same(found, labels) and capsys.readouterr().out == ""


def test_one_value_that_repeats_among_ids(capsys: pytest.CaptureFixture[str]) -> None:
    labels = disks(GRID)
    labels[10, 10], labels[labels == 81] = 0, 1
    labels[8:13, 10] = 0  # the first nucleus is in two pieces, one pixel apart,
    labels[28:33, 10] = 0  # as is the one below it
    found = number_nuclei(np.where(labels == 2, 2, labels), "mask.png")
    assert found.max() == 81
    assert "1 of 80 values repeat on pieces that lie far apart; each of their 2 pieces" in capsys.readouterr().out


def test_numbers_follow_the_values() -> None:
    np.testing.assert_array_equal(
        number_nuclei(CODES.astype(np.uint16) * 100, ""), np.select([n == CODES for n in (1, 2, 9)], [1, 2, 3])
    )
    assert number_nuclei(CODES, "").dtype == np.int32
    assert not number_nuclei(CODES * 0, "").any()


@given(arrays.arrays(np.bool_, (7, 7)))
def test_pieces_of_a_binary_mask_against_another_implementation(inside: Any) -> None:
    expected, count = ndimage.label(inside, np.ones((3, 3)))
    assume(not count or np.bincount(expected.ravel())[1:].max() <= inside.size / 2)
    found = number_nuclei(inside.astype(np.uint8) * np.uint8(255), "")
    assert found.max() == count and same(np.pad(found, 1), np.pad(expected, 1))


@given(arrays.arrays(np.uint8, (12, 12), elements=st.integers(0, 4)))
def test_any_numbers_give_nuclei_of_one_value_each_or_a_sentence(labels: Any) -> None:
    try:
        found = number_nuclei(labels, "mask.png")
    except Problem as problem:
        assert str(problem).startswith("mask.png has ") and str(problem).endswith(".")
        return
    np.testing.assert_array_equal(found > 0, labels > 0)
    for number in range(1, found.max() + 1):
        assert len(np.unique(labels[found == number])) == 1


def test_what_stands_for_no_nuclei_is_refused() -> None:
    truth = disks(GRID, 7)
    smooth = ndimage.gaussian_filter(np.where(truth, 255.0, 0), 1).astype(np.uint8)
    inside = ndimage.binary_erosion(truth > 0)
    for labels in (smooth, np.where(truth, np.where(inside, 1, 2), 0)):
        with pytest.raises(Problem, match=r"^mask\.png has .* values that meet .*; save it .*\.$"):
            number_nuclei(labels, "mask.png")
    for labels in (np.where(truth, 0, 255), np.where(truth, truth, 255), np.full((9, 9), 7)):
        with pytest.raises(Problem, match=r"^mask\.png has one nucleus on .* of the picture, .*\.$"):
            number_nuclei(labels, "mask.png")


@pytest.mark.real
def test_real_ids_of_nuclei(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = real_data / "tnbc_instances", real_data / "nuclei_pairs" / "instances"
    paths = [path for folder in folders for path in sorted(folder.glob("*.png"))]
    assert len(paths) == 67
    for path in paths:
        with Image.open(path) as picture:
            ids = np.asarray(picture)
        found = read_labels(Member(path, PurePosixPath(path.name)))
        np.testing.assert_array_equal(found, ids)
        assert same(number_nuclei(found, path), ids), path
    assert capsys.readouterr().out == ""
