"""Fetching a file over the network: resumed where it was cut off, verified, and only then put in its place.

What has come so far lies beside the target as ``NAME.part``; ``NAME.part.tag`` says which version of the file it is a
part of (the server's ETag or date, sent back as ``If-Range``, RFC 9110 section 13.1.5), so that the halves of two
different files are never joined.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gramgan_cli import __version__
from gramgan_cli.core.errors import GramganError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that have come so far and the whole, ``None`` where the server does not say."""

CHUNK = 1 << 18
_ADDRESS = "%/:=&?~#+!$,;'@()*[]"
"""What an address may hold beside letters and digits (RFC 3986, section 2); the rest is written as %XX."""

ATTEMPTS = 3
TIMEOUT_SECONDS = 30
OFFLINE = "GRAMGAN_OFFLINE"


class _CutOff(Exception):
    """The connection ended before the file did."""


def download(url: str, target: Path, *, sha256: str | None = None, progress: Progress | None = None) -> Path:
    """Fetch ``url`` to ``target`` and return ``target``; it appears only when it is whole and verified.

    A cut connection is taken up again where it stopped, here (three attempts) and in the next call.

    Args:
        url: an ``http``, ``https`` or ``file`` address.
        target: where the file goes; an older one is replaced.
        sha256: its SHA-256 in hexadecimal, where known.
        progress: told about the bytes that have come.

    Raises:
        GramganError: no network (or ``GRAMGAN_OFFLINE=1``), an address that does not answer, a wrong checksum, a disk
            that can't be written. A wrong checksum removes what was fetched; all else keeps it for the next call.
    """
    _refuse_unless_allowed(url, target)
    part = target.with_name(target.name + ".part")
    tag = target.with_name(target.name + ".part.tag")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch_all(url, part, tag, resumable=sha256 is not None, progress=progress, target=target)
        _verify(url, part, tag, sha256)
        part.replace(target)
        tag.unlink(missing_ok=True)
    except OSError as error:
        raise GramganError(f"Can't write {target}: {error.strerror or error}.") from error
    return target


def _refuse_unless_allowed(url: str, target: Path) -> None:
    """Only web and file addresses; nothing from the network where ``GRAMGAN_OFFLINE`` is set."""
    scheme = urllib.parse.urlsplit(url).scheme.lower()
    if scheme not in ("http", "https", "file"):
        raise GramganError(f"Can't fetch '{url}': only http, https and file addresses are fetched.")
    if scheme != "file" and os.environ.get(OFFLINE, "") not in ("", "0"):
        raise GramganError(
            f"{OFFLINE} is set, so {url} is not fetched.", f"Fetch it on another machine and put it at {target}."
        )


def _fetch_all(url: str, part: Path, tag: Path, *, resumable: bool, progress: Progress | None, target: Path) -> None:
    """Fill ``part`` to its end, taking up a cut connection again."""
    for attempt in range(1, ATTEMPTS + 1):
        if part.exists() and not (resumable or tag.exists()):
            part.unlink()
        try:
            _fetch_rest(url, part, tag, progress)
            return
        except _CutOff as error:
            if attempt == ATTEMPTS:
                raise GramganError(
                    f"{url} was cut off after {_size(part)} bytes ({error}).",
                    "Run the same command again: it goes on where it stopped.",
                ) from error
        except urllib.error.HTTPError as error:
            raise GramganError(
                f"{url} answered {error.code} {error.reason}.", f"Or fetch it by hand and put it at {target}."
            ) from error
        except urllib.error.URLError as error:
            raise GramganError(
                f"Can't reach {url}: {error.reason}.", f"Check the network, or put the file at {target} by hand."
            ) from error


def _size(part: Path) -> int:
    """Bytes that have come so far."""
    return part.stat().st_size if part.exists() else 0


def _fetch_rest(url: str, part: Path, tag: Path, progress: Progress | None) -> None:
    """One request for what ``part`` still lacks; from the start where the server can't or won't go on."""
    have = _size(part)
    try:
        response = _open(url, have, tag)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return
        part.unlink()
        have, response = 0, _open(url, 0, tag)
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _CutOff(str(error) or type(error).__name__) from error
    with response:
        start = have if _continues_at(response, have) else 0
        total = _total(response, start)
        if not start:
            _remember_version(response, tag)
        with part.open("ab" if start else "wb") as file:
            _copy(response, file, start, total, progress)


def _open(url: str, have: int, tag: Path) -> http.client.HTTPResponse:
    """The answer to a request for everything after the first ``have`` bytes."""
    headers = {"User-Agent": f"gramgan-cli/{__version__}"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag.exists():
            headers["If-Range"] = tag.read_text(encoding="utf-8")
    request = urllib.request.Request(urllib.parse.quote(url, safe=_ADDRESS), headers=headers)
    response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    return response


def _continues_at(response: http.client.HTTPResponse, have: int) -> bool:
    """Whether the answer is the part from byte ``have`` on, not the whole file."""
    return (
        have > 0
        and response.status == http.HTTPStatus.PARTIAL_CONTENT
        and (response.headers.get("Content-Range", "").startswith(f"bytes {have}-"))
    )


def _total(response: http.client.HTTPResponse, start: int) -> int | None:
    """Size of the whole file, where the answer says how long it is."""
    length = response.headers.get("Content-Length")
    return start + int(length) if length is not None and length.isdigit() else None


def _remember_version(response: http.client.HTTPResponse, tag: Path) -> None:
    """Keep what names this version of the file: a strong ETag, else its date, else nothing."""
    etag = response.headers.get("ETag", "")
    version = etag if etag.startswith('"') else response.headers.get("Last-Modified")
    if version:
        tag.write_text(version, encoding="utf-8")
    else:
        tag.unlink(missing_ok=True)


def _copy(
    response: http.client.HTTPResponse, file: BinaryIO, start: int, total: int | None, progress: Progress | None
) -> None:
    """Append the answer to ``file``; raises ``_CutOff`` where it ends early."""
    done = start
    while True:
        try:
            chunk = response.read(CHUNK)
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise _CutOff(str(error) or type(error).__name__) from error
        if not chunk:
            break
        file.write(chunk)
        done += len(chunk)
        if progress:
            progress(done, total)
    if total is not None and done < total:
        raise _CutOff(f"of {total}")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(url: str, part: Path, tag: Path, expected: str | None) -> None:
    """Remove ``part`` and say both checksums where they differ."""
    if expected is None:
        return
    actual = sha256_of(part)
    if actual != expected.lower():
        part.unlink()
        tag.unlink(missing_ok=True)
        raise GramganError(
            f"{url} has the SHA-256 {actual}, expected {expected.lower()}: it was not kept.",
            "Try again; if it stays so, the file at that address has changed.",
        )
