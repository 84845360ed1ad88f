"""GeoJSON is read feature by feature, whatever its shape, and refused in one sentence where it is cut or no GeoJSON."""

import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import Problem
from pipeline.slides import geojson
from pipeline.slides.geojson import read_features

FEATURE = {"type": "Feature", "geometry": None, "properties": {"name": 'ä "]}{['}}


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "slide.geojson"
    path.write_text(text, encoding=encoding)
    return path


def message(path: Path) -> str:
    with pytest.raises(Problem) as problem:
        list(read_features(path))
    text = str(problem.value)
    assert text.startswith(str(path)) and text.endswith(".") and "\n" not in text
    return text


@pytest.mark.parametrize(
    ("document", "count"),
    [
        ([FEATURE, FEATURE], 2),
        ([], 0),
        (FEATURE, 1),
        ({"type": "FeatureCollection", "features": [FEATURE] * 3}, 3),
        ({"features": [FEATURE] * 3, "type": "FeatureCollection", "crs": {"a": [1, 2]}, "bbox": [1, 2.5]}, 3),
        ({"type": "FeatureCollection", "features": []}, 0),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_every_shape_is_read(
    document: Any, count: int, indent: int | None, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geojson, "CHUNK", chunk)
    path = write(tmp_path, json.dumps(document, indent=indent, ensure_ascii=False))
    assert list(read_features(path)) == [FEATURE] * count


def test_measurements_that_are_no_numbers_are_read(tmp_path: Path) -> None:
    """QuPath before 0.5 writes them so (qupath/qupath#1293), though JSON has no such values."""
    text = json.dumps([FEATURE]).replace("null", '{"a": NaN, "b": -Infinity, "c": 1}')
    (feature,) = read_features(write(tmp_path, text))
    measured = feature["geometry"]
    assert math.isnan(measured["a"]) and measured["b"] == -math.inf and measured["c"] == 1


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
def test_every_charset_of_json_is_read(
    charset: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(geojson, "CHUNK", chunk)
    text = json.dumps([FEATURE], ensure_ascii=False)
    assert list(read_features(write(tmp_path, text, charset))) == [FEATURE]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
def test_windows_charset_is_read_and_told(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(geojson, "CHUNK", chunk)
    path = write(tmp_path, json.dumps([FEATURE], ensure_ascii=False), "cp1252")
    assert list(read_features(path)) == [FEATURE]
    place = path.read_bytes().index(0xE4)
    assert f"{path}: byte {place} is 0xe4, which is no UTF-8; read as Windows' cp1252" in capsys.readouterr().out


@pytest.mark.parametrize("charset", ["shift_jis", "utf-8"])
def test_another_charset_is_named_with_a_cure(charset: str, tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps([{"type": "Feature", "id": "病変ー"}], ensure_ascii=False), charset)
    if charset == "utf-8":  # damaged
        path.write_bytes(path.read_bytes().replace("病".encode(), b"\x81\x81"))
    text = message(path)
    assert "which is no UTF-8, nor cp1252); open it in an editor and save it as UTF-8" in text


@settings(deadline=None)
@given(place=st.integers(0, 2000), byte=st.integers(0, 255), end=st.integers(0, 2000))
def test_a_damaged_file_ends_in_a_sentence(
    place: int, byte: int, end: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("damaged"), json.dumps([FEATURE] * 9, indent=1, ensure_ascii=False))
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content[: max(1, end % len(content))] if end % 2 else content)
    try:
        assert all(feature["type"] == "Feature" for feature in read_features(path))
    except Problem as problem:
        assert str(problem).endswith(".")


@pytest.mark.parametrize("document", [[FEATURE] * 3, {"type": "FeatureCollection", "features": [FEATURE] * 3}, FEATURE])
def test_a_file_cut_anywhere_is_refused(document: Any, tmp_path: Path) -> None:
    numbered = json.loads(json.dumps(document).replace("null", '{"at": [-1.5e+7, true, "\\\\u00e4"]}'))
    content = json.dumps(numbered, ensure_ascii=False).replace("ä", "ä\\u00e4", 1).encode()
    path = tmp_path / "slide.geojson"
    for end in range(1, len(content)):
        path.write_bytes(content[:end])
        assert "in the middle" in message(path), content[:end]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert "is empty" in message(write(tmp_path, ""))


@pytest.mark.parametrize(
    "text", ["[1]", '{"type": "Polygon", "coordinates": []}', "[{}]", "hello", "[] []", '{"a" 1}', "{1: 2}", "[{]"]
)
def test_other_content_is_refused(text: str, tmp_path: Path) -> None:
    assert "no GeoJSON of annotations" in message(write(tmp_path, text))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.qpdata").write_bytes(b"\xac\xed\x00\x05sr")
    assert "no GeoJSON" in message(tmp_path / "data.qpdata")


@given(text=st.text(alphabet='[]{}",:1e-. aFeaturs\\', max_size=40))
def test_nonsense_ends_in_a_sentence(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(tmp_path_factory.mktemp("nonsense"), text)
    try:
        assert all(feature["type"] == "Feature" for feature in read_features(path))
    except Problem as problem:
        assert str(problem).endswith(".")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    feature = json.dumps({**FEATURE, "geometry": {"type": "Polygon", "coordinates": [[[1.5, 2.5]] * 50]}})
    path = tmp_path / "many.geojson"
    with path.open("w") as file:
        file.write("[" + ",".join([feature] * 20_000) + "]")
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_features(path)) == 20_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 12e6 and peak < 6e6
