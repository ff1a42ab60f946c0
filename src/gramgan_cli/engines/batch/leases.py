"""Leases: of several workers, of one run or of many, exactly one works on a result.

A lease is a file that exactly one worker can create. What its owner leaves behind when it dies is taken over: by a
second lease of the same result with the next number, which again exactly one can create. The lease of an owner on this
computer expires when the lock that it held is free; that of one elsewhere when its heartbeat is older than
``EXPIRES_AFTER`` (clocks may differ by a minute). A lease goes when the photo's record is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.locations import Location, Missing
from gramgan_cli.core.io.locks import exclusive, is_held

FOLDER, WORKERS = "_leases", "_workers"
"""Folders inside the folder of records."""

HEARTBEAT_EVERY = 30.0
"""Seconds between two heartbeats."""

EXPIRES_AFTER = 180.0
"""Seconds after the last heartbeat at which an owner's leases expire."""

_LOOKS = 5
"""How often a lease that can neither be made nor read is looked at again."""


@dataclass(frozen=True)
class Lease:
    """A result that is ours to make."""

    key: str
    number: int
    """1, or one more than the expired leases before it."""
    existed: bool
    """Whether something that is not known as ours was at the result's location before anybody worked on it."""

    @property
    def deaths(self) -> int:
        """How many owners died over the photo."""
        return self.number - 1


def key_of(result: str) -> str:
    """A file name for the lease of a result, which is named as in ``Job.key``."""
    return hashlib.sha256(result.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def leased_keys(records: Location) -> set[str]:
    """The keys of all leases that are there, valid and expired."""
    return {file.name.partition(".")[0] for file in (records / FOLDER).files()}


def release(records: Location, leases: Iterable[tuple[str, int]]) -> None:
    """Delete leases, (key, number), with those before them."""
    (records / FOLDER).remove(f"{key}.{number}" for key, last in leases for number in range(last, 0, -1))


def _lock_file(owner: str) -> Path:
    """In a folder of the user's own, since one that another made can't be written to: others tell by heartbeats."""
    user = f"-{os.getuid()}" if sys.platform != "win32" else ""
    return Path(tempfile.gettempdir()) / f"gramgan-workers{user}" / f"{owner}.lock"


class Heartbeat:
    """The heartbeat of a worker, or of the run that speaks for workers; until it is closed or its process ends."""

    def __init__(self, records: Location) -> None:
        self._records = records
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._held = ExitStack()
        self._held.enter_context(exclusive(_lock_file(self.owner)))
        self._closing = threading.Event()
        self._beat()
        self._thread = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let all leases of the owner expire."""
        self._closing.set()
        self._thread.join(HEARTBEAT_EVERY)
        self._held.close()
        _lock_file(self.owner).unlink(missing_ok=True)
        (self._records / WORKERS).remove([self.owner])

    def _beat(self) -> None:
        (self._records / f"{WORKERS}/{self.owner}").write(json.dumps({"time": time.time()}).encode())

    def _keep_beating(self) -> None:
        while not self._closing.wait(HEARTBEAT_EVERY):
            try:
                self._beat()
            except GramganError:
                # A store that is away for a moment: the next beat comes soon, and leases outlast several.
                continue


class Holder:
    """One worker that takes leases.

    Args:
        records: folder of records.
        run: the owner of the run's own heartbeat. While the run lives, its workers' leases are valid for all other
            runs, whether the workers live or not: it repeats what they left, and its records of what they finished may
            still be on their way.
        made_with: what this worker's results are made with, as text.
    """

    def __init__(self, records: Location, run: str, made_with: str = "") -> None:
        self._records, self._run, self._made_with = records, run, made_with
        self._mine = Heartbeat(records)

    def close(self) -> None:
        """Let whatever is still leased expire, as far as the run does not speak for it."""
        self._mine.close()

    def take(self, key: str, existed: bool) -> Lease | None:
        """The lease of a result, or None where a living worker has it.

        Args:
            key: from ``key_of``.
            existed: whether something is at the result's location now.

        Raises:
            GramganError: what is at the lease's location can't be read.
        """
        number, unreadable = 1, 0
        while True:
            file = self._records / f"{FOLDER}/{key}.{number}"
            mine = {"owner": self._mine.owner, "run": self._run, "existed": existed, "made_with": self._made_with}
            if file.create(json.dumps(mine).encode()):
                return Lease(key, number, existed)
            try:
                before = content_of(file)
            except Missing as error:
                unreadable += 1
                if unreadable > _LOOKS:  # a link to nothing
                    raise GramganError(
                        f"{file.text} can't be read.", "Delete it: it only says who works on a photo."
                    ) from error
                number = 1  # released this moment
                continue
            except GramganError as error:  # a folder, a pipe
                raise GramganError(error.message, "Delete it: it only says who works on a photo.") from error
            if before.get("owner") != self._mine.owner and is_valid(self._records, before, self._run):
                return None
            # What one with other weights or options began is nothing that we may take for our own.
            existed = bool(before.get("existed", True)) if before.get("made_with") == self._made_with else existed
            number += 1


def clear_old_heartbeats(records: Location) -> None:
    """Delete the heartbeats of workers that have long ended."""
    folder = records / WORKERS
    day_ago = time.time() - 86_400
    old = []
    for file in folder.files():
        with suppress(Missing):  # its owner has just ended
            if _time(content_of(file)) < day_ago:
                old.append(file.name)
    folder.remove(old)


def is_leased(records: Location, key: str) -> bool:
    """Whether a living worker has the result."""
    last: dict[str, Any] | None = None
    number = 1
    while True:
        try:
            last = content_of(records / f"{FOLDER}/{key}.{number}")
        except Missing:
            return last is not None and is_valid(records, last)
        number += 1


def content_of(file: Location) -> dict[str, Any]:
    """What a lease or a heartbeat says. One that stays empty was left by an owner that died over it: {}."""
    for pause in (0.0, 1.0):
        time.sleep(pause)
        try:
            document = json.loads(file.read())
        except (ValueError, RecursionError):
            continue
        return document if isinstance(document, dict) else {}
    return {}


def _time(heartbeat: dict[str, Any]) -> float:
    """Seconds since 1970; 0 for a damaged one."""
    value = heartbeat.get("time", 0)
    return float(value) if isinstance(value, int | float) else 0.0


def is_valid(records: Location, lease: dict[str, Any], run: str | None = None) -> bool:
    """Whether a lease is held, by its owner or, for all but the workers of its own ``run``, by the run."""
    speakers = [lease.get("owner"), lease.get("run") if lease.get("run") != run else None]
    return any(lives(records, speaker) for speaker in speakers if isinstance(speaker, str))


def lives(records: Location, owner: str) -> bool:
    """Whether the owner of a heartbeat lives, as far as can be told from here."""
    if not re.fullmatch(r"[\w.-]+", owner):  # a damaged note
        return False
    if owner.startswith(f"{socket.gethostname()}-") and _lock_file(owner).is_file():
        return is_held(_lock_file(owner))
    try:
        heartbeat = content_of(records / f"{WORKERS}/{owner}")
    except (Missing, ValueError):
        return False
    return time.time() - _time(heartbeat) < EXPIRES_AFTER
