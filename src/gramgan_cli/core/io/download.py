"""Resumable downloads, which are verified before they replace the target.

The partial content is stored beside the target as ``NAME.part``. ``NAME.part.tag`` holds the version of the file that
it belongs to: the server's ETag or date, sent back as ``If-Range`` (RFC 9110, section 13.1.5). A response that does not
confirm that version is not appended, so parts of two different files are never joined.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gramgan_cli import __version__
from gramgan_cli.core.errors import DownloadFailed, GramganError, NotARegularFile, Offline

Progress = Callable[[int, int | None], None]
"""Called with the number of bytes received so far and the total, or ``None`` if the server does not send it."""

CHUNK = 1 << 18
_URL_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"
"""Characters of a URL besides letters and digits (RFC 3986, section 2); all others are percent-encoded."""

LARGEST = 32 * 2**30
"""Default size limit in bytes. The largest known file has a fifth of that."""

ATTEMPTS = 3
TIMEOUT_SECONDS = 30
OFFLINE = "GRAMGAN_OFFLINE"
SCHEMES = ("http", "https", "file")


class _CutOff(Exception):
    """The connection ended before the file was complete."""


class _Refused(DownloadFailed):
    """The download failed, and its partial content must be deleted."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    largest: int = LARGEST,
    progress: Progress | None = None,
) -> Path:
    """Download ``url`` to ``target`` and return ``target``, which is replaced only by a complete and verified file.

    An interrupted download is resumed, in this call (three attempts) and in the next one.

    Args:
        url: an ``http``, ``https`` or ``file`` URL.
        target: path of the file; an existing one is replaced.
        sha256: expected SHA-256 in hexadecimal, if known.
        largest: maximum size in bytes.
        progress: called with the number of bytes received.

    Raises:
        Offline: ``GRAMGAN_OFFLINE`` is set.
        DownloadFailed: no network, no response, or the connection ended early (the partial content is kept for the next
            call); or a wrong checksum or more than ``largest`` bytes (the content is deleted).
        GramganError: the file can't be written.
    """
    _refuse_unless_allowed(url, target)
    part = target.with_name(target.name + ".part")
    tag = target.with_name(target.name + ".part.tag")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch_all(_Source(url, part, tag, largest, progress), resumable=sha256 is not None, target=target)
        _verify(url, part, tag, sha256)
        part.replace(target)
        tag.unlink(missing_ok=True)
    except _Refused:
        part.unlink(missing_ok=True)
        tag.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise GramganError(f"Can't write {target}: {error.strerror or error}.") from error
    return target


def _refuse_unless_allowed(url: str, target: Path) -> None:
    """Raise for other URLs than http, https and file, and for network URLs if ``GRAMGAN_OFFLINE`` is set."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise DownloadFailed(f"'{url}' is not a URL ({error}).", "Write it like https://host/file.pth.") from error
    if parts.scheme.lower() not in SCHEMES:
        raise DownloadFailed(f"Can't download '{url}': only http, https and file URLs are supported.")
    if parts.scheme.lower() == "file":
        path = Path(urllib.request.url2pathname(parts.path))
        if path.exists() and not path.is_file():
            raise NotARegularFile(f"{path} is not a regular file.")
    elif os.environ.get(OFFLINE, "") not in ("", "0"):
        raise Offline(
            f"{OFFLINE} is set, so {url} is not downloaded.",
            f"Download it on another computer and put it at {target}.",
        )


@dataclass(frozen=True)
class _Source:
    """A download with its temporary files."""

    url: str
    part: Path
    """Path of the partial content."""
    tag: Path
    """Path of the file that holds the version of ``part``."""
    largest: int
    """Maximum size in bytes."""
    progress: Progress | None

    def have(self) -> int:
        """Return the number of bytes received so far."""
        return self.part.stat().st_size if self.part.exists() else 0

    def version(self) -> str | None:
        """Return the version of ``part``, if known."""
        try:
            version = self.tag.read_text(encoding="ascii")
        except (OSError, ValueError):
            return None
        return version if version and version.isprintable() else None


def _fetch_all(source: _Source, *, resumable: bool, target: Path) -> None:
    """Download to ``part`` until it is complete, resuming after interruptions."""
    for attempt in range(1, ATTEMPTS + 1):
        if source.part.exists() and not (resumable or source.version()):
            source.part.unlink()
        try:
            _fetch_rest(source)
            return
        except _CutOff as error:
            if attempt == ATTEMPTS:
                raise DownloadFailed(
                    f"{source.url} was cut off after {source.have()} bytes ({error}).",
                    "Run the same command again to resume the download.",
                ) from error
        except urllib.error.HTTPError as error:
            circle = error.code // 100 == 3
            answer = "redirects in a loop" if circle else f"answered {error.code} {error.reason}"
            raise DownloadFailed(
                f"{source.url} {answer}.",
                f"Or download it by hand and put it at {target}.",
            ) from error
        except urllib.error.URLError as error:
            raise DownloadFailed(
                f"Can't reach {source.url}: {error.reason}.",
                f"Check the network, or put the file at {target} by hand.",
            ) from error


def _fetch_rest(source: _Source) -> None:
    """Request the missing rest of ``part``, or the whole file if the server does not support that."""
    have = source.have()
    try:
        response = _open(source, have)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}" and source.version() in (None, _version_of(error)):
            return
        have, response = 0, _open(source, 0)
    if response.status == http.HTTPStatus.PARTIAL_CONTENT and not _continues(response, have, source.version()):
        response.close()
        have, response = 0, _open(source, 0)
    with response:
        start = have if have and response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        if not start:
            _remember_version(response, source.tag)
        with source.part.open("ab" if start else "wb") as file:
            _copy(response, file, start, source)


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Redirect handler that follows redirects to web servers only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        """Refuse ftp, which the base class allows."""
        if urllib.parse.urlsplit(newurl).scheme.lower() not in ("http", "https"):
            raise urllib.error.URLError(f"it redirects to '{newurl[:200]}', which is not a web address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(source: _Source, have: int) -> http.client.HTTPResponse:
    """Request everything after the first ``have`` bytes and return the response."""
    headers = {"User-Agent": f"gramgan-cli/{__version__}"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version := source.version():
            headers["If-Range"] = version
    request = urllib.request.Request(urllib.parse.quote(source.url, safe=_URL_CHARACTERS), headers=headers)
    try:
        response: http.client.HTTPResponse = urllib.request.build_opener(_WebOnly).open(
            request, timeout=TIMEOUT_SECONDS
        )
    except urllib.error.URLError:
        raise
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _CutOff(str(error) or type(error).__name__) from error
    except ValueError as error:  # a redirect to an invalid URL
        raise urllib.error.URLError(f"it redirects to an invalid web address ({error})") from error
    return response


def _version_of(response: http.client.HTTPResponse | urllib.error.HTTPError) -> str | None:
    """Return the identifier of this version of the file: a strong ETag, else its date, else None."""
    etag = response.headers.get("ETag", "")
    version = etag if etag.startswith('"') else response.headers.get("Last-Modified")
    return version if version and version.isascii() and version.isprintable() else None


def _continues(response: http.client.HTTPResponse, have: int, version: str | None) -> bool:
    """Return whether a partial response starts at byte ``have`` and belongs to the same version.

    Some servers ignore ``If-Range`` and send the rest of their current file. If no version was stored, the checksum
    decides at the end.
    """
    begins = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    return begins and version in (None, _version_of(response))


def _total(response: http.client.HTTPResponse, start: int) -> int | None:
    """Return the size of the whole file, if the response states its length."""
    length = response.headers.get("Content-Length", "").strip()
    return start + int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else None


def _remember_version(response: http.client.HTTPResponse, tag: Path) -> None:
    version = _version_of(response)
    if version:
        tag.write_text(version, encoding="ascii")
    else:
        tag.unlink(missing_ok=True)


def _copy(response: http.client.HTTPResponse, file: BinaryIO, start: int, source: _Source) -> None:
    """Append the response to ``file``; raise ``_CutOff`` if it ends early, ``_Refused`` if it is too large."""
    done, total, progress = start, _total(response, start), source.progress
    _refuse_more(source, total or 0)
    while True:
        try:
            chunk = response.read(CHUNK)
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise _CutOff(str(error) or type(error).__name__) from error
        if not chunk:
            break
        done += len(chunk)
        _refuse_more(source, done)
        file.write(chunk)
        if progress:
            progress(done, total)
    if total is not None and done < total:
        raise _CutOff(f"of {total}")


def _refuse_more(source: _Source, size: int) -> None:
    if size > source.largest:
        raise _Refused(f"{source.url} has more than {source.largest} bytes, so it was not kept.")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(url: str, part: Path, tag: Path, expected: str | None) -> None:
    """Delete ``part`` and raise an error with both checksums if they differ."""
    if expected is None:
        return
    actual = sha256_of(part)
    if actual != expected.lower():
        part.unlink()
        tag.unlink(missing_ok=True)
        raise DownloadFailed(
            f"{url} has the SHA-256 {actual}, expected {expected.lower()}: it was not kept.",
            "Try again. If the error persists, the file on the server has changed.",
        )
