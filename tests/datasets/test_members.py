"""Files are listed and read alike from folders and zips, and images come out as RGB."""

import errno
import io
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipeline.base.errors import Problem
from pipeline.base.faults import MACHINE
from pipeline.datasets.discovery import look
from pipeline.datasets.members import Member, list_members, read_rgb


def picture(folder: Path, mode: str, values: list[object], name: str = "a.png") -> Member:
    """A picture of one row of pixels."""
    image = Image.new(mode, (len(values), 1))
    image.putdata(values)
    image.save(folder / name)
    return list_members(look(folder), {".png"})[0]


def test_folders_and_zips_are_listed_without_rubbish(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.PNG", "deep/a.png", "notes.txt", ".hidden.png", "deep/._a.png"):
        (tmp_path / name).write_bytes(b"folder")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        for name in ("top/d.png", "__MACOSX/top/d.png", "top/._d.png", "top/e.xml", "top/.png/"):
            archive.writestr(name, b"zip")
    members = list_members(look(tmp_path), {".png"})
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
        list_members(look(tmp_path), {".png"})


def test_a_damaged_member_of_a_zip_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("a.png", b"x" * 100)
    content = bytearray((tmp_path / "c.zip").read_bytes())
    content[60] ^= 1
    (tmp_path / "c.zip").write_bytes(content)
    with pytest.raises(Problem, match=r"c\.zip: a\.png cannot be read"):
        list_members(look(tmp_path), {".png"})[0].read()


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
        list_members(look(tmp_path), {".png"})[0].picture()
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
            found = np.asarray(list_members(look(tmp_path), {".png"})[0].picture())
        except Problem:
            continue
        np.testing.assert_array_equal(found, mask, err_msg=f"byte {place}")


# ------------------------------------------------------------------------------------------------------ large, refused


def test_a_picture_larger_than_pillow_trusts_is_read(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    Image.new("1", (13_500, 13_500)).save(tmp_path / "a.png")  # 182 million px, 1.6 times what Pillow refuses
    (member,) = list_members(look(tmp_path), {".png"})
    assert member.picture().size == (13_500, 13_500)
    assert not recwarn.list


def test_a_picture_that_is_too_large_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    member = picture(tmp_path, "L", [0] * 20)
    monkeypatch.setattr("pipeline.datasets.members.MOST_PIXELS", 18)
    with pytest.raises(Problem, match=r"a\.png has more than 18 px, the most that is read as one picture; cut it"):
        member.picture()
    monkeypatch.setattr("pipeline.datasets.members.MOST_PIXELS", 20)
    member.picture()
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=139))
    with pytest.raises(Problem, match=r"a\.png has 20 x 1 px, which take 0\.0 GB, and 0\.0 GB of memory are free; end"):
        member.picture()
    monkeypatch.setattr("pipeline.datasets.members.MOST_BYTES", 10)
    with pytest.raises(Problem, match=r"a\.png has \d+ bytes, where no file of the data set has 10"):
        member.picture()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_what_the_machine_refuses_is_no_damaged_file(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> bytes:
        raise OSError(number, os.strerror(number), str(path))

    member = picture(tmp_path, "L", [0])
    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(Problem) as problem:
        member.picture()
    assert str(problem.value) == f"{member} {MACHINE[number]}."


def test_a_picture_of_a_kind_that_may_start_a_program_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n")
    with pytest.raises(Problem, match=r"a\.png is no whole picture"):
        list_members(look(tmp_path), {".png"})[0].picture()
