"""Is a zip archive safe to read and whole? Archives come from outside and are believed nothing."""

import lzma
import ntpath
import posixpath
import stat
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm.utils import CallbackIOWrapper

from pipeline.base.errors import Problem, machine_problem
from pipeline.base.progress import byte_bar

CURE = "get the archive again from the data set's own site"


def stays_inside(name: str) -> bool:
    """Whether a member of this name, unpacked on any system, stays in the folder it is unpacked to."""
    name = name.replace("\\", "/")  # some tools of Windows write so, and every unpacker takes it for a folder's end
    if name.startswith("/") or ntpath.splitdrive(name)[0]:
        return False
    return posixpath.normpath(name).split("/")[0] != ".."


def check_members(path: Path) -> dict[str, PurePosixPath]:
    """Refuse a zip with a member that could leave its folder. Reads the list of members only, so it is cheap.

    Returns:
        Its files: the name that the archive knows each by -> where it lies, with `/` between folders, in Unicode's NFC.

    Raises:
        Problem: `path` is no whole zip, or a member has an absolute path, `..` or a drive letter, is a link or a
            device, or there twice.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, OSError) as error:
        raise (machine_problem(path, error) or Problem(f"{path} is no whole zip archive ({error}); {CURE}.")) from None
    places: dict[PurePosixPath, str] = {}
    for member in members:
        name = member.filename
        if not stays_inside(name):
            raise Problem(f"{path} is not safe: its member {name!r} would leave the folder; {CURE}.")
        if stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise Problem(f"{path} is not safe: its member {name!r} is a link or a device; {CURE}.")
        if member.is_dir() or name.endswith("\\"):
            continue
        place = PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/")))
        if place in places:
            raise Problem(f"{path} holds {places[place]!r} and {name!r}, which are one file twice; {CURE}.")
        places[place] = name
    return {name: place for place, name in places.items()}


def check_zip(path: Path) -> None:
    """`check_members`, then read every member against its CRC. Takes a second for 200 MB or so of content.

    Raises:
        Problem: as `check_members`, or a member is cut, damaged, encrypted or packed in a way that Python cannot read.
    """
    check_members(path)
    with (
        path.open("rb") as file,
        byte_bar(f"checking {path.name}", path.stat().st_size) as bar,
        zipfile.ZipFile(CallbackIOWrapper(bar.update, file)) as archive,
    ):
        try:
            damaged = archive.testzip()
        except (zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError) as error:
            raise (machine_problem(path, error) or Problem(f"{path} cannot be read ({error}); {CURE}.")) from None
    if damaged is not None:
        raise Problem(f"{path}: its member {damaged!r} is damaged; {CURE}.")
