"""`download` fills data/raw/<dataset> from a sample, the official address or a folder."""

import hashlib
import io
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import datasets
from pipeline.base.errors import Problem
from pipeline.base.files import read_json
from pipeline.base.schema import Block
from pipeline.datasets import Card, RemoteFile
from pipeline.stages import download
from tests.loopback import FileServer

ROOT = Path(__file__).parents[2]
RAW = Path("data/raw/toy")


def zipped(name: str, content: bytes = b"tiles" * 1000) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


class ToySample(Block):
    text: str


def find(folder: Path) -> list[SimpleNamespace]:
    parts = [SimpleNamespace(name=path.stem, files=[path]) for path in sorted(folder.glob("fold_*"))]
    if not parts:
        raise Problem(f"{folder} holds no fold; give the folder that does.")
    return parts


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = FileServer(zipped("images.npy"))
    yield server
    server.stop()


@pytest.fixture
def toy(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A data set of one zip on the server, in an empty project."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    card = Card(
        name="toy",
        title="Toy",
        licence="CC BY-NC-SA 4.0",
        licence_url="https://licence.example",
        citation="Toy et al., 2020.",
        homepage="https://toy.example",
        classes=("background", "nucleus"),
        groups=("",),
        official_splits={},
        microns_per_pixel=0.25,
        magnification=40.0,
        files=(RemoteFile("fold_1.zip", server.url, hashlib.sha256(server.content).hexdigest()),),
        sample=ToySample,
    )
    drawing = SimpleNamespace(draw=lambda folder, seed, settings: (folder / "fold_1.npy").write_text(settings.text))
    for kind, found in (("card", card), ("reader", SimpleNamespace(find=find)), ("drawing", drawing)):
        monkeypatch.setattr(datasets, f"load_{kind}", lambda name, found=found: {"toy": found}[name])
    return card


def get(source: str, name: str = "toy") -> dict[str, Any]:
    params: Any = SimpleNamespace(sample={"seed": 7, "toy": {"text": "toy"}})
    download.get(name, source, params)
    record: dict[str, Any] = read_json(Path("data/raw") / name / "SOURCE.json")
    return record


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_sample_is_drawn_and_says_so(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    record = get("sample")
    assert names(RAW) == {"fold_1.npy", "LICENCE.txt", "SOURCE.json"}
    assert (record["source"], record["folder"], record["licence"]) == ("sample", "data/raw/toy", "none: drawn tiles")
    assert record["files"] == [{"name": "fold_1.npy", "bytes": 3, "sha256": hashlib.sha256(b"toy").hexdigest()}]
    assert "none of them is real" in capsys.readouterr().out
    assert "none of them is real" in (RAW / "LICENCE.txt").read_text()


def test_the_official_files_come_with_licence_and_checksum(
    toy: Any, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    record = get("official")
    assert (RAW / "fold_1.zip").read_bytes() == server.content
    del record["crc32"]
    assert record == {
        "format": 1,
        "dataset": "toy",
        "source": "official",
        "folder": "data/raw/toy",
        "licence": "CC BY-NC-SA 4.0",
        "licence_url": "https://licence.example",
        "citation": "Toy et al., 2020.",
        "files": [{"name": "fold_1.zip", "bytes": len(server.content), "sha256": toy.files[0].sha256}],
        "sha256": hashlib.sha256(f"fold_1.zip {toy.files[0].sha256}\n".encode()).hexdigest(),
    }
    for text in (capsys.readouterr().out, (RAW / "LICENCE.txt").read_text()):
        assert "CC BY-NC-SA 4.0, https://licence.example" in text
        assert "Please cite: Toy et al., 2020." in text


def test_what_dvc_deletes_is_not_downloaded_again(toy: Any, server: FileServer) -> None:
    first = get("official")
    before = (RAW / "SOURCE.json").read_bytes()
    shutil.rmtree(RAW)
    assert get("official") == first
    assert (RAW / "SOURCE.json").read_bytes() == before
    assert len(server.requests) == 1


def test_the_official_files_are_on_the_disk_once(toy: Any) -> None:
    get("official")
    assert (RAW / "fold_1.zip").samefile("data/incoming/toy/fold_1.zip")


def test_without_hard_links_the_files_are_copied(toy: Any, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, target: Path) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    get("official")
    assert (RAW / "fold_1.zip").read_bytes() == server.content


def test_a_link_in_incoming_is_followed(toy: Any, server: FileServer, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.zip"
    elsewhere.write_bytes(server.content)
    Path("data/incoming/toy").mkdir(parents=True)
    Path("data/incoming/toy/fold_1.zip").symlink_to(elsewhere)
    get("official")
    assert not (RAW / "fold_1.zip").is_symlink()
    assert not server.requests


def test_a_download_that_fails_leaves_what_was_there(toy: Any, server: FileServer) -> None:
    get("sample")
    server.statuses = [404]
    with pytest.raises(Problem, match="answers 404"):
        get("official")
    assert names(RAW) == {"fold_1.npy", "LICENCE.txt", "SOURCE.json"}
    assert names(RAW.parent) == {"toy"}


@pytest.mark.parametrize("source", ["{outside}", "../outside", "~/outside"])
def test_an_own_folder_is_used_in_place(
    toy: Any, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "fold_1.zip").write_bytes(zipped("images.npy"))
    (outside / "notes.txt").write_text("no part of the data set")
    record = get(source.format(outside=outside))
    assert record["folder"] == str(outside)
    assert [file["name"] for file in record["files"]] == ["fold_1.zip"]
    assert names(RAW) == {"LICENCE.txt", "SOURCE.json"}
    assert names(outside) == {"fold_1.zip", "notes.txt"}
    assert not server.requests


def test_the_checksum_follows_every_file(toy: Any, tmp_path: Path) -> None:
    def checksum(**files: bytes) -> str:
        folder = tmp_path / "own"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        value: str = get(str(folder))["sha256"]
        return value

    same = checksum(fold_1=b"a", fold_2=b"b")
    assert checksum(fold_2=b"b", fold_1=b"a") == same
    others = [{"fold_1": b"a"}, {"fold_1": b"b", "fold_2": b"a"}, {"fold_1": b"a", "fold_3": b"b"}]
    assert same not in {checksum(**files) for files in others}


@pytest.mark.parametrize("source", ["/no/such/folder", "offical", "~no-such-user/data"])
def test_a_missing_folder_is_one_sentence(toy: Any, source: str) -> None:
    with pytest.raises(
        Problem, match=rf"params\.yaml: datasets\.toy\.source is '{source}', which is no folder .* give sample, off"
    ):
        get(source)
    assert not RAW.exists()


def test_a_folder_without_the_data_set_is_refused(toy: Any, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="holds no fold"):
        get(str(tmp_path))
    assert not RAW.exists()


def test_a_folder_that_dvc_empties_is_refused_before_that(toy: Any) -> None:
    get("sample")
    with pytest.raises(Problem, match=r"which DVC empties .* move your files to a folder outside of data/raw"):
        get("data/raw/toy")
    assert (RAW / "fold_1.npy").exists()


def folds(folder: Path) -> None:
    """Three tiny folds as the official zips hold them."""
    for number in (1, 2, 3):
        for what, array in {
            "images": np.zeros((2, 64, 64, 3)),
            "masks": np.zeros((2, 64, 64, 6)),
            "types": np.array(["Breast", "Colon"]),
        }.items():
            path = (
                folder / f"Fold {number}" / ("masks" if what == "masks" else "images") / f"fold{number}" / f"{what}.npy"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)


@pytest.mark.parametrize("is_zipped", [True, False])
def test_pannuke_in_an_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_zipped: bool) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own"
    folds(own)
    if is_zipped:
        for number in (1, 2, 3):
            shutil.make_archive(str(own / f"fold_{number}"), "zip", own, f"Fold {number}")
            shutil.rmtree(own / f"Fold {number}")
    record = get(str(own), "pannuke")
    expected = (
        [f"fold_{number}.zip" for number in (1, 2, 3)]
        if is_zipped
        else [
            f"Fold {number}/{what}"
            for number in (1, 2, 3)
            for what in (
                f"images/fold{number}/images.npy",
                f"images/fold{number}/types.npy",
                f"masks/fold{number}/masks.npy",
            )
        ]
    )
    assert [file["name"] for file in record["files"]] == expected
    assert names(Path("data/raw/pannuke")) == {"LICENCE.txt", "SOURCE.json"}


def test_pixels_that_lie_beside_a_slide_are_of_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .mrxs holds none: they lie in the folder of its name."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own"
    (own / "BRACS_26").mkdir(parents=True)
    for name in ("BRACS_26.mrxs", "BRACS_26.geojson", "BRACS_26/Slidedat.ini", "BRACS_26/Data0000.dat"):
        (own / name).write_bytes(b"before")
    first = get(str(own), "bracs")
    (own / "BRACS_26/Data0000.dat").write_bytes(b"behind")
    second = get(str(own), "bracs")
    assert first["sha256"] != second["sha256"] and len(first["files"]) == 4


def test_files_behind_a_link_are_recorded_as_they_lie_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folds(tmp_path / "disk2")
    own = tmp_path / "own"
    own.mkdir()
    (own / "pannuke").symlink_to(tmp_path / "disk2")
    record = get(str(own), "pannuke")
    assert len(record["files"]) == 9 and record["files"][0]["name"] == "pannuke/Fold 1/images/fold1/images.npy"


def test_an_unknown_data_set_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["download", "panuke"])
    with pytest.raises(Problem, match=r"params\.yaml has no data set named 'panuke' under datasets"):
        download.main()
