"""Which files lie in a data set's folder, and what becomes of each: found = used + left out, told once.

Every reader finds its files here. Folders behind links are entered, each real folder once. What lies there by
accident (lock files, thumbnails, what systems and programs leave) is no candidate, but told. Names are compared in
Unicode's NFC, which a Mac does not write.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.base.archives import check_members
from pipeline.base.errors import Problem, machine_problem

FOREIGN = {  # what a file is, by its name in lower case; the first that fits
    "lock file": r"~\$.*|\.~lock\..*|.*\.lock|.*\.lck",
    "file of the system": r"thumbs\.db|ehthumbs.*\.db|desktop\.ini|\.ds_store|\._.*|icon\r",
    "temporary file": r".*~|#.*#|.*\.(tmp|temp|part|partial|crdownload|download|bak|backup|swp|filepart)",
    "thumbnail or preview": r"(.*[ ._-])?(thumb|thumbnail|preview)s?([ ._-]?\d*)\.\w+",
    "file of a QuPath project": r".*\.qpproj|(server|summary|source|project|classes|classifiers)\.json",
    "hidden file": r"\..*",
}
OWN = {"LICENCE.txt", "SOURCE.json"}  # what `download` writes beside the data
THUMBNAILS = {"thumb", "thumbs", "thumbnail", "thumbnails", "preview", "previews"}  # names of folders
SUFFIX = re.compile(
    r"\.(ome|svs|tiff?|ndpi|mrxs|scn|svslide|bif|vms|vmu|png|jpe?g|xml|geojson|json|qpdata)$", re.IGNORECASE
)
SEVERAL_FILES = {".mrxs", ".vms", ".vmu"}  # suffixes of slides that are made of them
NAMED = 3  # files of a kind that are named when they are told


@dataclass(frozen=True, order=True)
class File:
    """A file, in a folder or inside the zip at `path`."""

    path: Path
    name: PurePosixPath  # where it lies in the folder that was searched, or in the zip, as names are compared
    inside: str = ""  # the name that the zip knows it by

    def __str__(self) -> str:
        return f"{self.path}: {self.name}" if self.zipped else str(self.path)

    @property
    def zipped(self) -> bool:
        """Whether it lies in a zip."""
        return bool(self.inside)


@dataclass
class Survey:
    """What lies in a folder."""

    folder: Path
    files: list[File] = field(default_factory=list)  # candidates: those in the folder by name, then zip by zip
    foreign: dict[str, list[File]] = field(default_factory=dict)  # what they are -> those that are none
    folders: list[Path] = field(default_factory=list)  # entered
    not_entered: list[str] = field(default_factory=list)  # folders, and why not

    def add(self, file: File) -> None:
        """Take a file for a candidate, or for a foreign one."""
        if what := foreign(file):
            self.foreign.setdefault(what, []).append(file)
        else:
            self.files.append(file)

    def zips(self) -> list[File]:
        """The zips in the folder."""
        return [file for file in self.files if not file.zipped and file.name.suffix.lower() == ".zip"]

    def enter(self, archive: File) -> list[File]:
        """Put a zip's files in its place; those that are candidates.

        Raises:
            Problem: it is damaged or unsafe.
        """
        names = check_members(archive.path)
        self.files.remove(archive)
        before = len(self.files)
        for inside, name in sorted(names.items(), key=lambda named: named[1]):
            self.add(File(archive.path, name, inside))
        return self.files[before:]

    def tell(self, used: Iterable[File], passed: Mapping[str, Iterable[File]] | None = None) -> None:
        """Print how many files there are, how many are used, and what the others are.

        Args:
            passed: what files are that were looked at and left out -> these; all others are of no use here.
        """
        keys = {(file.path, file.inside) for file in used}
        rest = {(file.path, file.inside): file for file in self.files if (file.path, file.inside) not in keys}
        left_out: dict[str, list[File]] = {}
        for what, files in (passed or {}).items():
            for file in files:
                if rest.pop((file.path, file.inside), None):
                    left_out.setdefault(what, []).append(file)
        left_out |= self.foreign
        if rest:
            left_out["of no use here"] = list(rest.values())
        count = sum(len(files) for files in left_out.values())
        whole = len(self.files) + sum(len(files) for files in self.foreign.values())
        reasons = "; ".join(f"{what}: {_listed(files)}" for what, files in left_out.items())
        print(
            f"{self.folder}: found {whole:,} files = used {whole - count:,} + left out {count:,}"
            + (f" ({reasons})" if reasons else "")
        )
        if self.not_entered:
            print(f"{self.folder}: not entered: {'; '.join(self.not_entered)}")


def look(folder: Path) -> Survey:
    """Every file in and under a folder. Zips are files until they are entered; special files are none.

    Raises:
        Problem: a folder may not be read.
    """
    found = Survey(folder)
    for path in sorted(_walk(folder, found)):
        found.add(File(path, PurePosixPath(nfc(path.relative_to(folder).as_posix()))))
    return found


def nfc(name: str) -> str:
    """A name in the one form of Unicode in which names are compared."""
    return unicodedata.normalize("NFC", name)


def bare_name(name: str) -> str:
    """What an image, its mask and its outlines have in common: BRACS_1 of BRACS_1.ome.tif and BRACS_1.svs.geojson."""
    name = nfc(name)
    while name != (shorter := SUFFIX.sub("", name)):
        name = shorter
    return name


def companions(files: Iterable[File]) -> dict[Path, list[Path]]:
    """What slides of several files consist of beside their own: these hold the pixels, so a change in them counts.

    A .mrxs consists of the folder of its name, a .vms or .vmu of what it names.
    """
    lying: dict[Path, list[Path]] = {}
    for file in files:
        lying.setdefault(file.path.parent, []).append(file.path)
    found: dict[Path, list[Path]] = {}
    for path in (path for paths in lying.values() for path in paths):
        suffix = path.suffix.lower()
        if suffix == ".mrxs":
            found[path] = lying.get(path.with_suffix(""), [])
        elif suffix in SEVERAL_FILES:
            named = _named_in(path)
            found[path] = [beside for beside in lying[path.parent] if beside.name in named]
    return found


def _named_in(path: Path) -> set[str]:
    """The values of a Hamamatsu index (`ImageFile(1,0)=...`), among them names of files; no slide's has a megabyte."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 20).splitlines()
    except OSError as error:
        raise machine_problem(path, error) or Problem(f"{path} cannot be read ({error}); get it again.") from None
    return {line.partition("=")[2].strip() for line in lines}


def foreign(file: File) -> str:
    """What a file is that belongs to no data set; empty for all others."""
    name, folders = file.name.name.lower(), [part.lower() for part in file.name.parts[:-1]]
    if str(file.name) in OWN and not file.zipped:
        return "note of `download`"
    if _is_no_text(str(file.name)):
        return "name that is no text"
    if "__macosx" in folders:
        return "file of the system"
    if any(folder.startswith(".") for folder in folders):
        return "hidden file"
    if THUMBNAILS & set(folders):
        return "thumbnail or preview"
    if not file.zipped and not file.path.is_file():
        return "link that leads nowhere" if file.path.is_symlink() else "no regular file"
    return next((what for what, pattern in FOREIGN.items() if re.fullmatch(pattern, name)), "")


def _is_no_text(name: str) -> bool:
    """Whether a name holds bytes that are no UTF-8, which no record can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False


def printable(name: object) -> str:
    """A name as it can stand in one line: what is no text, or ends a line, is escaped."""
    text = str(name)
    return text if text.isprintable() else ascii(text)


def _listed(files: list[File]) -> str:
    """How many files, and the names of the first."""
    names = ", ".join(printable(file.name.name) for file in files[:NAMED])
    return f"{len(files):,}, {names}" + (", ..." if len(files) > NAMED else "")


def _walk(folder: Path, found: Survey) -> Iterator[Path]:
    """Every entry in and under a folder that is no folder; real folders first, then those behind links."""
    entered: dict[tuple[int, int], Path] = {}  # real folders -> where
    waiting: list[Path] = [folder]
    links: list[Path] = []
    while waiting or links:
        place = waiting.pop() if waiting else links.pop(0)
        try:
            real = place.stat()
            first = entered.setdefault((real.st_dev, real.st_ino), place)
            around = place.is_symlink() and place != folder and place.parent.resolve().is_relative_to(place.resolve())
            if around or first != place:
                why = "leads back to a folder that it lies in" if around else f"the same folder as {printable(first)}"
                found.not_entered.append(f"{printable(place)}: {why}")
                continue
            found.folders.append(place)
            for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
                path = Path(entry.path)
                if not (path.is_dir() if entry.is_symlink() else entry.is_dir()):
                    yield path
                elif entry.name.startswith(".") or entry.name == "__MACOSX":
                    found.not_entered.append(f"{printable(path)}: hidden")
                else:
                    (links if entry.is_symlink() else waiting).append(path)
        except OSError as error:
            where = error.filename or place
            raise (
                machine_problem(where, error) or Problem(f"{where} cannot be listed ({error}); look at that folder.")
            ) from None
