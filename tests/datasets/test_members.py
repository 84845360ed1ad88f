"""Files are listed and read alike from folders and zips, and images come out as RGB."""

import io
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from pipeline.base.errors import Problem
from pipeline.datasets.members import LARGEST, Member, list_members, read_rgb


def picture(folder: Path, mode: str, values: list[object], name: str = "a.png") -> Member:
    """A picture of one row of pixels."""
    image = Image.new(mode, (len(values), 1))
    image.putdata(values)
    image.save(folder / name)
    return list_members(folder, {".png"})[0]


def test_folders_and_zips_are_listed_without_rubbish(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.PNG", "deep/a.png", "notes.txt", ".hidden.png", "deep/._a.png"):
        (tmp_path / name).write_bytes(b"folder")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        for name in ("top/d.png", "__MACOSX/top/d.png", "top/._d.png", "top/e.xml", "top/.png/"):
            archive.writestr(name, b"zip")
    members = list_members(tmp_path, {".png"})
    assert [(member.name.as_posix(), member.read()) for member in members] == [
        ("b.PNG", b"folder"),
        ("deep/a.png", b"folder"),
        ("top/d.png", b"zip"),
    ]
    assert [str(member) for member in members] == [
        f"{tmp_path}/b.PNG",
        f"{tmp_path}/deep/a.png",
        f"{tmp_path}/c.zip: top/d.png",
    ]


def test_a_zip_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("../a.png", b"")
    with pytest.raises(Problem, match="not safe"):
        list_members(tmp_path, {".png"})


def test_a_damaged_member_of_a_zip_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("a.png", b"x" * 100)
    content = bytearray((tmp_path / "c.zip").read_bytes())
    content[60] ^= 1
    (tmp_path / "c.zip").write_bytes(content)
    with pytest.raises(Problem, match=r"c\.zip: a\.png cannot be read"):
        list_members(tmp_path, {".png"})[0].read()


def test_an_opaque_alpha_channel_is_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    member = picture(tmp_path, "RGBA", [(1, 2, 3, 255), (200, 0, 7, 255)])
    assert read_rgb(member).tolist() == [[[1, 2, 3], [200, 0, 7]]]
    assert capsys.readouterr().out == ""


def test_transparent_pixels_are_put_on_white_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    member = picture(tmp_path, "RGBA", [(10, 20, 30, 0), (10, 20, 30, 255), (0, 103, 255, 51)])
    assert read_rgb(member).tolist() == [[[255, 255, 255], [10, 20, 30], [204, 225, 255]]]
    assert "a.png has 2 transparent px" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_an_image_without_colours_is_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(Problem, match=rf"a\.png is no RGB image: its mode is {mode}"):
        read_rgb(picture(tmp_path, mode, [0, 1]))


@pytest.mark.parametrize("keep", [0, 5, 40, 100])
def test_a_cut_picture_is_refused(tmp_path: Path, keep: int) -> None:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)).save(content, "png")
    (tmp_path / "a.png").write_bytes(content.getvalue()[:keep])
    with pytest.raises(Problem, match=r"a\.png is no whole picture \([^\n<]*\); get it again") as problem:
        list_members(tmp_path, {".png"})[0].picture()
    assert "\n" not in str(problem.value)


def test_a_changed_byte_is_never_read_as_another_picture(tmp_path: Path) -> None:
    content = io.BytesIO()
    mask = np.zeros((32, 32), np.uint8)
    mask[4:20, 4:20] = 255
    Image.fromarray(mask).save(content, "png")
    for place in range(len(content.getvalue())):
        changed = bytearray(content.getvalue())
        changed[place] ^= 16
        (tmp_path / "a.png").write_bytes(changed)
        try:
            found = np.asarray(list_members(tmp_path, {".png"})[0].picture())
        except Problem:
            continue
        np.testing.assert_array_equal(found, mask, err_msg=f"byte {place}")


def test_what_is_too_large_to_be_a_picture_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(LARGEST + 1)  # a hole: no byte is written
    with pytest.raises(Problem, match="more than any picture or table"):
        Member(tmp_path / "a.png", PurePosixPath("a.png")).read()
