"""Downloads are whole or not there, whatever the server does."""

import hashlib
import io
import random
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.base.errors import Problem
from pipeline.base.fetch import fetch
from tests.loopback import FileServer

WAITS = (0.0, 0.0, 0.0)


def zipped(seed: int, member: str = "images.npy") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, random.Random(seed).randbytes(300_000))
    return buffer.getvalue()


CONTENT = zipped(1)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = FileServer(CONTENT)
    yield server
    server.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "incoming" / "fold_1.zip"


def get(server: FileServer, path: Path, size: int | None = None) -> None:
    fetch(server.url, path, sha256(server.content), size, WAITS)


def begin(server: FileServer, path: Path) -> None:
    """A call that breaks in the middle and leaves a .part."""
    server.cuts = [150_000]
    with pytest.raises(Problem):
        fetch(server.url, path, sha256(CONTENT), waits=())


def test_a_whole_download(server: FileServer, path: Path) -> None:
    get(server, path, size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]  # no .part is left
    assert server.ranges_asked == [None]
    assert server.requests[0]["User-Agent"].startswith("lobule")


def test_a_second_call_downloads_nothing(server: FileServer, path: Path) -> None:
    get(server, path)
    get(server, path)
    assert len(server.requests) == 1


def test_after_a_cut_only_the_rest_is_asked_for(server: FileServer, path: Path) -> None:
    server.cuts = [150_000]
    get(server, path)
    assert path.read_bytes() == CONTENT
    _, second = server.requests
    kept = int(second["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < kept <= 150_000
    assert second["If-Range"] == '"first"'


def test_a_later_call_goes_on_where_the_first_gave_up(server: FileServer, path: Path) -> None:
    server.cuts = [150_000]
    with pytest.raises(
        Problem, match=r"fold_1\.zip could not be downloaded .* are kept in .*fold_1\.zip\.part, run again"
    ):
        fetch(server.url, path, sha256(CONTENT), waits=())
    assert not path.exists()  # a half-finished file is not taken for a whole one
    kept = path.with_name("fold_1.zip.part").stat().st_size
    get(server, path)
    assert server.ranges_asked == [None, f"bytes={kept}-"]
    assert path.read_bytes() == CONTENT


def test_an_interruption_keeps_what_came(server: FileServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bar(io.StringIO):
        def update(self, _: int) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.base.fetch.byte_bar", lambda *_: Bar())
    with pytest.raises(KeyboardInterrupt):
        get(server, path)
    monkeypatch.undo()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert path.with_name("fold_1.zip.part").stat().st_size > 0
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges_asked[1] is not None


def test_a_call_that_ended_before_the_checks_downloads_nothing_again(
    server: FileServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Path, name: str) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("pipeline.base.fetch._checksum", interrupted)
        get(server, path)
    assert not path.exists()
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_server_without_ranges_starts_over(server: FileServer, path: Path) -> None:
    server.ranges, server.cuts = False, [150_000]
    get(server, path)
    assert path.read_bytes() == CONTENT


def test_a_server_that_always_breaks_at_the_same_place_ends(server: FileServer, path: Path) -> None:
    server.ranges, server.cuts = False, [150_000] * 50
    with pytest.raises(Problem, match="run again to go on"):
        get(server, path)
    assert len(server.requests) == 1 + len(WAITS)


def test_a_server_that_breaks_often_but_goes_on_is_borne_with(server: FileServer, path: Path) -> None:
    server.content = zipped(1) + zipped(2)
    server.cuts = [70_000] * (2 * len(WAITS))
    get(server, path)
    assert path.read_bytes() == server.content


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_a_changed_file_is_not_glued_to_the_old_one(server: FileServer, path: Path, header: str) -> None:
    del server.headers["ETag"]
    server.headers[header] = '"old"' if header == "ETag" else "Sat, 01 Jan 2022 00:00:00 GMT"
    begin(server, path)
    server.content = zipped(2)
    server.headers[header] = '"new"' if header == "ETag" else "Sun, 02 Jan 2022 00:00:00 GMT"
    get(server, path)
    assert path.read_bytes() == server.content


def test_without_a_version_a_file_of_another_size_is_not_glued(server: FileServer, path: Path) -> None:
    del server.headers["ETag"]
    begin(server, path)
    server.content = zipped(2, member="longer-name.npy")
    get(server, path)
    assert path.read_bytes() == server.content


def test_a_weak_etag_is_no_proof_of_the_same_bytes(server: FileServer, path: Path) -> None:
    server.headers |= {"ETag": 'W/"first"', "Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT"}
    begin(server, path)
    get(server, path)
    assert server.requests[1]["If-Range"] == "Sat, 01 Jan 2022 00:00:00 GMT"  # RFC 9110, 13.1.5


def test_the_beginning_of_another_address_is_not_used(server: FileServer, path: Path) -> None:
    begin(server, path)
    server.url += "?version=2"
    get(server, path)
    assert server.ranges_asked == [None, None]
    assert path.read_bytes() == CONTENT


def test_a_beginning_longer_than_the_file_is_dropped(server: FileServer, path: Path) -> None:
    begin(server, path)
    with path.with_name("fold_1.zip.part").open("ab") as file:
        file.write(bytes(400_000))
    get(server, path)
    assert path.read_bytes() == CONTENT


def test_a_beginning_of_unknown_origin_is_not_used(server: FileServer, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("fold_1.zip.part").write_bytes(b"PK of something else")
    get(server, path)
    assert server.ranges_asked == [None]
    assert path.read_bytes() == CONTENT


def test_an_answer_that_ends_early_without_an_error_is_gone_on_with(server: FileServer, path: Path) -> None:
    begin(server, path)
    server.lengths, server.cuts = False, [70_000]
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_a_known_size_stands_in_for_the_length(server: FileServer, path: Path) -> None:
    server.lengths, server.cuts = False, [150_000]
    get(server, path, size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert server.ranges_asked == [None, "bytes=150000-"]


def test_a_server_without_lengths(server: FileServer, path: Path) -> None:
    server.lengths = False
    get(server, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("statuses", [[500, 500], [503, 429]])
def test_500_twice_then_fine(server: FileServer, path: Path, statuses: list[int]) -> None:
    server.statuses = statuses
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 416])
def test_what_is_not_there_is_said_at_once(server: FileServer, path: Path, status: int) -> None:
    server.statuses = [status] * 9
    with pytest.raises(
        Problem, match=rf"{server.url} cannot be downloaded.* {status} .*folder as the data set's source"
    ):
        get(server, path)
    assert len(server.requests) == 1
    assert not path.exists()


def test_no_server_at_all(server: FileServer, path: Path) -> None:
    fetch_from = server.url.replace(str(server._http.server_port), "1")
    with pytest.raises(Problem, match=r"127\.0\.0\.1:1/fold_1\.zip could not be downloaded"):
        fetch(fetch_from, path, sha256(CONTENT), waits=(0.0,))


def test_a_wrong_checksum_is_set_aside(server: FileServer, path: Path) -> None:
    wrong = "0" * 64
    with pytest.raises(Problem, match=rf"should have SHA-256 {wrong} but has {sha256(CONTENT)}; .*fold_1\.zip\.bad"):
        fetch(server.url, path, wrong, waits=WAITS)
    assert not path.exists()
    assert path.with_name("fold_1.zip.bad").read_bytes() == CONTENT
    get(server, path)
    assert path.read_bytes() == CONTENT


def test_an_md5_does_where_there_is_no_sha256(server: FileServer, path: Path) -> None:
    wrong, right = "0" * 32, hashlib.md5(CONTENT).hexdigest()
    with pytest.raises(Problem, match=rf"should have MD5 {wrong} but has {right}; "):
        fetch(server.url, path, f"md5:{wrong}", waits=WAITS)
    fetch(server.url, path, f"md5:{right}", waits=WAITS)
    assert path.read_bytes() == CONTENT


def test_a_finished_file_that_was_damaged_since_is_set_aside(server: FileServer, path: Path) -> None:
    get(server, path)
    path.write_bytes(b"damaged")
    with pytest.raises(Problem, match=r"fold_1\.zip should have SHA-256 .* run again to download it anew"):
        get(server, path)
    get(server, path)
    assert path.read_bytes() == CONTENT


def test_a_file_of_another_size_is_refused_before_it_is_downloaded(server: FileServer, path: Path) -> None:
    with pytest.raises(Problem, match=r"has .* bytes and should have 7: the publisher changed it"):
        get(server, path, size=7)
    assert not path.exists()


@pytest.mark.parametrize(
    ("content_type", "page"),
    [("text/html; charset=utf-8", b"<!-- Sign in -->"), ("application/octet-stream", b"\n<!DOCTYPE html><p>Sign in")],
)
def test_a_login_page_is_not_the_file_and_does_no_harm(
    server: FileServer, path: Path, content_type: str, page: bytes
) -> None:
    begin(server, path)
    kept = path.with_name("fold_1.zip.part").read_bytes()
    server.content, server.headers = page, {"Content-Type": content_type}
    with pytest.raises(Problem, match=r"gives a web page \(a login or a notice\) in place of fold_1\.zip; download it"):
        fetch(server.url, path, sha256(CONTENT), waits=WAITS)
    assert path.with_name("fold_1.zip.part").read_bytes() == kept


def test_an_unsafe_zip_does_not_get_its_final_name(server: FileServer, path: Path) -> None:
    server.content = zipped(1, member="../images.npy")
    with pytest.raises(Problem, match=r"'\.\./images\.npy' would leave the folder"):
        get(server, path)
    assert not path.exists()


def test_too_little_room_is_said_before_the_download(
    server: FileServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(
        Problem, match=r"fold_1\.zip\.part needs 300,\d+ bytes more and its disk has 1,000 left; make room"
    ):
        get(server, path)
