"""Downloads from a real local HTTP server that can be made to misbehave."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from gramgan_cli.core.errors import DownloadFailed, GramganError, NotARegularFile
from gramgan_cli.core.io.download import download

CONTENT = np.random.default_rng(1).bytes(700_001)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """The server's content and behaviour; ``ranges`` lists the Range header of each request."""

    address: str = ""
    content: bytes = CONTENT
    etag: str | None = '"one"'
    supports_ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    knows_if_range: bool = True
    length: str | None = None
    """A false Content-Length, if any."""
    location: str | None = None
    """URL to which all requests are redirected."""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        if request.path != "/file.bin":
            request.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.supports_ranges else 0  # type: ignore[index]
        if self.knows_if_range and request.headers.get("If-Range", self.etag) != self.etag:
            start = 0
        if self.location is not None:
            request.send_response(302)
            request.send_header("Location", self.location)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if start >= len(self.content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.etag:
            request.send_header("ETag", self.etag)
        request.send_header("Content-Length", self.length or str(len(self.content) - start))
        request.end_headers()
        body = self.content[start:]
        request.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.address = f"http://127.0.0.1:{http.server_port}/file.bin"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_whole_file_and_progress(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = download(
        server.address, tmp_path / "deep" / "x.bin", sha256=SHA256.upper(), progress=lambda *n: seen.append(n)
    )
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert names(target.parent) == ["x.bin"]


def test_urls_may_contain_any_character(server: Server, tmp_path: Path) -> None:
    asked: list[str] = []
    answer = server.answer

    def note(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        handler.path = "/file.bin"
        answer(handler)

    server.answer = note  # type: ignore[method-assign]
    download(server.address.replace("file", "modèle a%20b"), tmp_path / "x.bin", sha256=SHA256)
    assert asked == ["/mod%C3%A8le%20a%20b.bin"]


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_cut_connection_goes_on_where_it_stopped(server: Server, tmp_path: Path, sha256: str | None) -> None:
    server.cuts = [300_000]
    assert download(server.address, tmp_path / "x.bin", sha256=sha256).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_a_partial_download_is_resumed_by_the_next_call(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000, 50_000, 50_000]
    with pytest.raises(GramganError, match=r"cut off after 200000 bytes .*to resume the download"):
        download(server.address, tmp_path / "x.bin")
    assert names(tmp_path) == ["x.bin.part", "x.bin.part.tag"]
    assert download(server.address, tmp_path / "x.bin").read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=200000-"
    assert names(tmp_path) == ["x.bin"]


def test_halves_of_two_versions_are_never_joined(server: Server, tmp_path: Path) -> None:
    server.cuts = [1000, 1000, 1000]
    with pytest.raises(GramganError, match="cut off"):
        download(server.address, tmp_path / "x.bin")
    server.content, server.etag = CONTENT[::-1], '"two"'
    assert download(server.address, tmp_path / "x.bin").read_bytes() == CONTENT[::-1]


def test_without_a_version_or_a_checksum_it_starts_again(server: Server, tmp_path: Path) -> None:
    server.etag, server.cuts = None, [1000]
    assert download(server.address, tmp_path / "x.bin").read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.supports_ranges, server.cuts = False, [300_000]
    assert download(server.address, tmp_path / "x.bin", sha256=SHA256).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


@pytest.mark.parametrize("extra", [b"", b"more than the file has"])
def test_part_that_is_already_whole_or_too_long(server: Server, tmp_path: Path, extra: bytes) -> None:
    (tmp_path / "x.bin.part").write_bytes(CONTENT + extra)
    assert download(server.address, tmp_path / "x.bin", sha256=SHA256).read_bytes() == CONTENT
    assert len(server.ranges) == (2 if extra else 1)


def test_wrong_checksum_keeps_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(GramganError, match=f"has the SHA-256 {SHA256}, expected {'0' * 64}"):
        download(server.address, tmp_path / "x.bin", sha256="0" * 64)
    assert names(tmp_path) == []


def test_an_older_file_stays_until_the_new_one_is_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"old")
    with pytest.raises(GramganError, match="SHA-256"):
        download(server.address, tmp_path / "x.bin", sha256="0" * 64)
    assert (tmp_path / "x.bin").read_bytes() == b"old"
    download(server.address, tmp_path / "x.bin", sha256=SHA256)
    assert (tmp_path / "x.bin").read_bytes() == CONTENT


def test_offline_touches_no_network(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    with pytest.raises(GramganError, match=re.escape(f"put it at {tmp_path / 'x.bin'}")):
        download(server.address, tmp_path / "x.bin")
    assert server.ranges == []
    (tmp_path / "source.bin").write_bytes(CONTENT)
    assert download((tmp_path / "source.bin").as_uri(), tmp_path / "x.bin", sha256=SHA256).read_bytes() == CONTENT


def test_failures_name_the_url(server: Server, tmp_path: Path) -> None:
    missing = server.address.replace("file.bin", "nothing.bin")
    with pytest.raises(GramganError, match=re.escape(f"{missing} answered 404 Not Found")):
        download(missing, tmp_path / "x.bin")
    with pytest.raises(GramganError, match=re.escape("Can't reach http://127.0.0.1:9/x")):
        download("http://127.0.0.1:9/x", tmp_path / "x.bin")
    with pytest.raises(GramganError, match="only http, https and file"):
        download("ftp://example.org/x", tmp_path / "x.bin")
    with pytest.raises(GramganError, match="Can't reach file:"):
        download((tmp_path / "absent").as_uri(), tmp_path / "x.bin")
    (tmp_path / "occupied").write_text("a file where a folder is needed")
    with pytest.raises(GramganError, match="Can't write"):
        download(server.address, tmp_path / "occupied" / "x.bin")


@pytest.mark.parametrize("etag", ['"two"', None], ids=["another version", "no version"])
def test_a_server_that_ignores_if_range_is_not_believed(server: Server, tmp_path: Path, etag: str | None) -> None:
    """It sends the rest of its current file; joined with the first part, the result would mix two versions."""
    server.cuts = [1000, 1000, 1000]
    with pytest.raises(DownloadFailed, match="cut off"):
        download(server.address, tmp_path / "x.bin")
    server.knows_if_range, server.content, server.etag = False, CONTENT[::-1], etag
    assert download(server.address, tmp_path / "x.bin").read_bytes() == CONTENT[::-1]


def test_a_damaged_version_tag_restarts_the_download(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin.part").write_bytes(b"something")
    (tmp_path / "x.bin.part.tag").write_bytes(b"\xff\r\nX-Evil: 1")
    assert download(server.address, tmp_path / "x.bin").read_bytes() == CONTENT
    assert server.ranges == [None]


@pytest.mark.parametrize("message", [True, False], ids=["announced", "not announced"])
def test_more_than_is_allowed_is_refused_and_not_kept(server: Server, tmp_path: Path, message: bool) -> None:
    server.length = None if message else "nonsense"
    with pytest.raises(DownloadFailed, match="more than 1000 bytes"):
        download(server.address, tmp_path / "x.bin", largest=1000)
    assert names(tmp_path) == []
    assert download(server.address, tmp_path / "x.bin", largest=len(CONTENT)).read_bytes() == CONTENT


def test_files_have_the_same_limit(tmp_path: Path) -> None:
    (tmp_path / "source.bin").write_bytes(CONTENT)
    with pytest.raises(DownloadFailed, match="more than 1000 bytes"):
        download((tmp_path / "source.bin").as_uri(), tmp_path / "x.bin", largest=1000)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among its files")
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotARegularFile, match="not a regular file"):
        download((tmp_path / "pipe").as_uri(), tmp_path / "x.bin")


@pytest.mark.parametrize("length", ["-5", "1e3", "\xb2", "", "0x10", "9" * 30, "700001, 700001"])
def test_an_odd_content_length_gives_one_message_or_works(server: Server, tmp_path: Path, length: str) -> None:
    server.length = length or " "
    try:
        assert download(server.address, tmp_path / "x.bin", sha256=SHA256).read_bytes() == CONTENT
    except DownloadFailed as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "location",
    [
        "http://[bad/",
        "http://host:port/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://\xff\xfe/",
        "javascript:1",
    ],
)
def test_an_odd_redirect_gives_one_message(server: Server, tmp_path: Path, location: str) -> None:
    server.location = location
    with pytest.raises(DownloadFailed) as caught:
        download(server.address, tmp_path / "x.bin")
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_a_redirect_loop_is_an_error(server: Server, tmp_path: Path) -> None:
    for location in (server.address, "//"):
        server.location = location
        with pytest.raises(DownloadFailed, match="in a loop"):
            download(server.address, tmp_path / "x.bin")
