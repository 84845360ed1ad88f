"""Every reader finds the same files whatever lies beside them, and tells each file that it leaves out."""

import errno
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import datasets
from pipeline.base.errors import Problem
from pipeline.datasets.discovery import bare_name, companions, look
from tests.datasets.test_cards import NAMES, smallest

SUM = re.compile(r"found ([\d,]+) files = used ([\d,]+) \+ left out ([\d,]+)")
FOREIGN = {  # what a person's folder has beside the data
    "~$BRACS.xlsx": "lock file",
    ".~lock.BRACS.csv#": "lock file",
    "Thumbs.db": "file of the system",
    "desktop.ini": "file of the system",
    ".DS_Store": "file of the system",
    "._01_1.png": "file of the system",
    "fold_1.zip.part": "temporary file",
    "01_1.png~": "temporary file",
    "thumbnails/01_1.png": "thumbnail or preview",
    "BRACS_1.thumb.tif": "thumbnail or preview",
    "preview_2.png": "thumbnail or preview",
    "project.qpproj": "file of a QuPath project",
    "data/1/server.json": "file of a QuPath project",
    ".hidden.png": "hidden file",
    "notes.txt": "of no use here",
}


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def listed(folder: Path) -> list[str]:
    return [file.name.as_posix() for file in look(folder).files]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The smallest sample of a data set, drawn once; of bracs, whose slides take long, names alone."""

    @cache
    def draw(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        if name == "bracs":
            (folder / "BRACS.csv").write_text("WSI Filename,Patient Id\nBRACS_1,31\nBRACS_2,32\n")
            return write(folder, *(f"train/BRACS_{number}.{kind}" for number in (1, 2) for kind in ("svs", "geojson")))
        datasets.load_drawing(name).draw(folder, 7, datasets.load_card(name).sample.model_validate(smallest(name)))
        return folder

    return draw


def found(name: str, folder: Path) -> list[tuple[str, list[str]]]:
    """Names of the parts and of their files."""
    parts = datasets.load_reader(name).find(folder)
    return [(part.name, sorted(path.name for path in part.files)) for part in parts]


def told(capsys: pytest.CaptureFixture[str]) -> tuple[int, int, int, str]:
    """Files found, used and left out, as the one line tells them that there must be; and all that was printed."""
    text = capsys.readouterr().out
    (numbers,) = SUM.findall(text)
    whole, used, left_out = (int(number.replace(",", "")) for number in numbers)
    assert whole == used + left_out
    return whole, used, left_out, text


# ------------------------------------------------------------------------------------------------------ every reader


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_passes_over_foreign_files_and_tells_them(
    name: str, samples: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(samples(name), tmp_path / "raw"))
    count = sum(path.is_file() for path in folder.rglob("*"))
    expected = found(name, folder)
    whole, used, left_out, _ = told(capsys)
    assert (whole, used) == (count, count - left_out)
    assert used == len({path for part in datasets.load_reader(name).find(folder) for path in part.files})
    capsys.readouterr()

    write(folder, *FOREIGN)
    (folder / "loop").symlink_to(folder)
    (folder / "nowhere.png").symlink_to("gone.png")
    assert found(name, folder) == expected
    whole, now_used, left_out, text = told(capsys)
    assert (whole, now_used) == (count + len(FOREIGN) + 1, used)
    for what in {*FOREIGN.values(), "link that leads nowhere"}:
        assert f"{what}: " in text
    assert "not entered: " in text and "loop: leads back to a folder that it lies in" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_enters_a_linked_folder(name: str, samples: Callable[[str], Path], tmp_path: Path) -> None:
    folder = samples(name)
    linked = tmp_path / "raw"
    linked.mkdir()
    (linked / "disk2").symlink_to(folder)
    (linked / "again").symlink_to(folder)  # the same folder, which must not be read twice
    assert found(name, linked) == found(name, folder)
    for part in datasets.load_reader(name).find(linked):
        assert all(path.is_relative_to(linked) for path in part.files)


@pytest.mark.parametrize("name", ["bach", "monuseg", "pannuke", "tnbc", "bcss"])
def test_a_reader_reads_a_zip_of_windows(
    name: str, samples: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = samples(name)
    target = tmp_path / "zipped"
    target.mkdir()
    names = {"pannuke": [f"fold_{number}" for number in (1, 2, 3)]}.get(name, ["data"])
    for archive_name in names:
        with zipfile.ZipFile(target / f"{archive_name}.zip", "w") as archive:
            for path in sorted(folder.rglob("*")):
                inside = path.relative_to(folder).as_posix()
                if path.is_file() and (name != "pannuke" or archive_name.replace("_", "") in inside):
                    archive.writestr(inside.replace("/", "\\"), path.read_bytes())
    parts = datasets.load_reader(name).find(target)
    told(capsys)
    assert [part.name for part in parts] == [part.name for part in datasets.load_reader(name).find(folder)]
    assert all(next(part.tiles()).image.any() for part in parts)


@pytest.mark.parametrize(
    ("name", "pattern", "other"),
    [
        ("tnbc", "Slide_01/*.png", "{0.stem}.PNG"),
        ("tnbc", "GT_01/*.png", "{0.stem}.PNG"),
        ("monuseg", "Tissue Images/*.tif", "{0.stem}.ome.tif"),
        ("bcss", "masks/*.png", "{0.stem}.Png"),
        ("bach", "**/Benign/*.tif", "{0.stem}.tiff"),
        ("bach", "**/*_ground_truth.csv", "Normal/{0.name}"),
        ("pannuke", "**/images.npy", "Images.npy"),
    ],
)
def test_two_candidates_for_one_thing_are_refused(
    name: str, pattern: str, other: str, samples: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(samples(name), tmp_path / "raw"))
    first = sorted(folder.glob(pattern))[0]
    second = Path(shutil.copy(first, first.parent / other.format(first)))
    with pytest.raises(Problem) as problem:
        datasets.load_reader(name).find(folder)
    text = str(problem.value)
    assert str(first) in text and str(second) in text and text.endswith("; move one of them away.")


@pytest.mark.parametrize(("name", "pattern"), [("tnbc", "Slide_01/*.png"), ("bach", "**/Benign/*.tif")])
def test_the_case_of_a_suffix_and_a_folder_is_no_matter(
    name: str, pattern: str, samples: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(samples(name), tmp_path / "raw"))
    count = sum(part.count for part in datasets.load_reader(name).find(folder))
    for path in folder.glob(pattern):
        path.rename(path.with_suffix(path.suffix.upper()))
    parent = next(folder.glob(pattern.partition("/*.")[0]))
    parent.rename(parent.with_name(parent.name.lower()))
    assert sum(part.count for part in datasets.load_reader(name).find(folder)) == count


# ------------------------------------------------------------------------------------------------------------ folders


def test_linked_folders_are_entered_once(tmp_path: Path) -> None:
    folder, other = write(tmp_path / "raw", "real/a.png"), write(tmp_path / "other", "deep/b.png")
    (folder / "a link").symlink_to(folder / "real")  # sorts before it, and yet the real one goes
    (folder / "real/back").symlink_to("..")
    (folder / "outside").symlink_to(other)
    (folder / "up").symlink_to(tmp_path)
    (other / "deep/around").symlink_to(other)
    survey = look(folder)
    assert [file.name.as_posix() for file in survey.files] == ["outside/deep/b.png", "real/a.png"]
    assert sorted(line.partition(": ")[0].removeprefix(f"{folder}/") for line in survey.not_entered) == [
        "a link",
        "outside/deep/around",
        "real/back",
        "up",
    ]
    assert f"{folder}/a link: the same folder as {folder}/real" in survey.not_entered


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
    st.lists(st.integers(0, 5), min_size=1, max_size=6),
)
def test_any_tangle_of_links_is_found_once(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[int, int]], files: list[int]
) -> None:
    """Six folders, two of them outside, with links from any to any."""
    top = tmp_path_factory.mktemp("tangle")
    folders = [top / place for place in ("in", "in/a", "in/a/b", "in/c", "out", "out/d")]
    for folder in folders:
        folder.mkdir()
    for number, place in enumerate(files):
        (folders[place] / f"{number}.png").touch()
    for number, (place, target) in enumerate(links):
        (folders[place] / f"link{number}").symlink_to(folders[target])
    survey = look(folders[0])
    found = [file.path.resolve() for file in survey.files]
    assert len(set(found)) == len(found)
    inside = {path for path in top.rglob("*.png") if path.is_relative_to(folders[0])}
    assert inside <= set(found) <= set(top.rglob("*.png"))
    assert [file.path for file in survey.files if file.path.resolve() in inside] == sorted(inside)
    assert len(survey.folders) + len(survey.not_entered) >= 4


def test_links_to_nothing_and_to_themselves_are_told(tmp_path: Path) -> None:
    (tmp_path / "nothing.png").symlink_to("gone")
    (tmp_path / "itself.png").symlink_to("itself.png")
    survey = look(tmp_path)
    assert not survey.files
    assert [file.name.name for file in survey.foreign["link that leads nowhere"]] == ["itself.png", "nothing.png"]


def test_hidden_folders_are_not_entered(tmp_path: Path) -> None:
    write(tmp_path, ".git/a.png", "__MACOSX/a.png", "a.png")
    survey = look(tmp_path)
    assert [file.name.name for file in survey.files] == ["a.png"]
    assert survey.not_entered == [f"{tmp_path}/.git: hidden", f"{tmp_path}/__MACOSX: hidden"]


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refused)
    with pytest.raises(Problem, match=rf"^{tmp_path} may not be opened: this user has no right to; .*\.$"):
        look(tmp_path)


# -------------------------------------------------------------------------------------------------------------- names


def test_names_are_compared_in_one_form(tmp_path: Path) -> None:
    write(tmp_path, unicodedata.normalize("NFD", "Gewebe/Prüfung.png"))
    (file,) = look(tmp_path).files
    assert str(file.name) == unicodedata.normalize("NFC", "Gewebe/Prüfung.png") and file.path.read_bytes() == b"x"


@pytest.mark.parametrize(
    "name", ["BRACS_1.svs", "BRACS_1.ome.tif", "BRACS_1.svs.geojson", "BRACS_1.OME.TIFF.geojson", "BRACS_1.tif.json"]
)
def test_a_double_suffix_is_none_of_the_name(name: str) -> None:
    assert bare_name(name) == "BRACS_1"


def test_a_name_with_dots_is_kept() -> None:
    name = "TCGA-A1-A0SK-DX1_xmin45749_MPP-0.2500"
    assert bare_name(f"{name}.png") == bare_name(name) == name


def test_names_that_cannot_stand_in_a_line_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "a\nb.txt", "c\udcffd.txt")
    look(tmp_path).tell([])
    assert r"(name that is no text: 1, 'c\udcffd.txt'; of no use here: 1, 'a\nb.txt')" in capsys.readouterr().out


def test_thousands_of_files_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, *(f"{number:04}.txt" for number in range(1200)))
    look(tmp_path).tell([])
    said = (
        f"{tmp_path}: found 1,200 files = used 0 + left out 1,200 (of no use here: 1,200, 0000.txt, 0001.txt, 0002.txt"
    )
    assert capsys.readouterr().out == f"{said}, ...)\n"


# --------------------------------------------------------------------------------------------------------- companions


def test_slides_of_several_files_have_companions(tmp_path: Path) -> None:
    write(tmp_path, "a.mrxs", "a/Slidedat.ini", "a/Data0000.dat", "b/Data0000.dat", "c.jpg", "c(1,0).jpg", "d.jpg")
    (tmp_path / "c.vms").write_text("[Virtual Microscope Specimen]\nImageFile=c.jpg\nImageFile(1,0)=c(1,0).jpg\n")
    (tmp_path / "e.vmu").write_text("ImageFile=../d.jpg\nMapFile=/etc/passwd\n")
    found = {
        slide.name: [path.relative_to(tmp_path).as_posix() for path in paths]
        for slide, paths in companions(look(tmp_path).files).items()
    }
    assert found == {
        "a.mrxs": ["a/Data0000.dat", "a/Slidedat.ini"],
        "c.vms": ["c(1,0).jpg", "c.jpg"],
        "e.vmu": [],
    }
