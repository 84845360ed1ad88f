"""Archives that could do harm are refused."""

import errno
import lzma
import ntpath
import os
import stat
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.base.archives import CURE, check_members, check_zip, stays_inside
from pipeline.base.errors import Problem


def make_zip(path: Path, *members: str | zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            archive.writestr(member, b"0123456789" * 100)
    return path


def of_kind(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3  # Unix, where the upper half of external_attr is the file's mode
    info.external_attr = (mode | 0o644) << 16
    return info


def test_an_ordinary_zip_passes(tmp_path: Path) -> None:
    folder, file = of_kind("Fold 1/", stat.S_IFDIR), of_kind("Fold 1/images.npy", stat.S_IFREG)
    check_zip(make_zip(tmp_path / "fold_1.zip", folder, file, "Fold 1/by-laws.txt"))


@pytest.mark.parametrize(
    "name",
    ["../evil.npy", "a/../../evil.npy", "/etc/evil", "a\\..\\..\\evil", "C:/evil", "C:evil", "//host/evil", ".."],
)
def test_a_member_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "fold_1.zip", "images.npy", name)
    with pytest.raises(Problem, match=r"fold_1\.zip is not safe.* would leave the folder; get the archive again"):
        check_members(path)


def test_backslashes_part_folders(tmp_path: Path) -> None:
    """Some tools of Windows write them; `zipfile` on Unix takes them for letters."""
    path = make_zip(tmp_path / "fold_1.zip", "Fold 1\\", "Fold 1\\images.npy", "Fold 1/masks.npy", "Fold 1/u\u0308.npy")
    assert {name: str(place) for name, place in check_members(path).items()} == {
        "Fold 1\\images.npy": "Fold 1/images.npy",
        "Fold 1/masks.npy": "Fold 1/masks.npy",
        "Fold 1/u\u0308.npy": "Fold 1/\u00fc.npy",
    }


def test_one_file_twice_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "fold_1.zip", "a/images.npy", "a\\images.npy")
    with pytest.raises(Problem, match=r"fold_1\.zip holds 'a/images\.npy' and 'a\\\\images\.npy', which are one file"):
        check_members(path)


def test_a_zip_that_may_not_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_zip(tmp_path / "fold_1.zip", "images.npy")

    def refuse(*_: object) -> None:  # a file without rights, but root may read it
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    with pytest.raises(Problem, match=r"fold_1\.zip may not be opened: this user has no right to"):
        check_members(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    path = make_zip(tmp_path / "fold_1.zip", of_kind("images.npy", kind))
    with pytest.raises(Problem, match=r"fold_1\.zip is not safe: its member 'images\.npy' is a link or a device"):
        check_members(path)


def test_a_cut_zip_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "fold_1.zip", "images.npy")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(Problem, match=r"fold_1\.zip is no whole zip archive .*; get the archive again"):
        check_members(path)


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fold_1.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("images.npy", b"0123456789")
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123456780"))
    check_members(path)  # the list of members is in order
    with pytest.raises(Problem, match=r"fold_1\.zip: its member 'images\.npy' is damaged; get the archive again"):
        check_zip(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@settings(deadline=None)  # LZMA may ask for gigabytes where its header is damaged
@given(place=st.integers(0), flipped=st.integers(1, 255))
def test_a_zip_is_whole_exactly_where_each_of_its_members_is(
    method: int, place: int, flipped: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("zip") / "fold_1.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("images.npy", bytes(range(256)) * 2)
        archive.writestr("masks.npy", b"0" * 512)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= flipped
    path.write_bytes(content)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                archive.read(member)
        whole = True
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, UnicodeDecodeError, OSError):
        whole = False
    try:
        check_zip(path)
        passed = True
    except Problem as problem:
        assert str(problem).startswith(str(path)) and str(problem).endswith(f"; {CURE}.")
        passed = False
    assert passed <= whole  # a member's name or kind may be refused, too


NAMES = st.lists(st.sampled_from(["..", ".", "", "a", "C:", "\\", "..."]) | st.text(max_size=3)).map("/".join)


@given(NAMES.filter(lambda name: "\0" not in name))
@example("a/../b")
@example("a/../../a")
@example("/a")
def test_a_name_is_inside_exactly_where_its_path_is_on_unix_and_on_windows(name: str) -> None:
    on_unix = Path("/any-folder", name.replace("\\", "/")).resolve().is_relative_to("/any-folder")
    share = r"\\host\share\any-folder"  # on no drive, so that no drive letter is its own
    on_windows = (ntpath.normpath(ntpath.join(share, name)) + "\\").startswith(share + "\\")
    assert stays_inside(name) == (on_unix and on_windows)
