"""Leases, which ensure that only one worker of all runs works on a result.

A lease is a file that exactly one worker can create. If its owner dies, another worker takes over by creating the
lease with the next number, which again only one can create. A lease of an owner on this computer expires when the
owner's lock is free; that of an owner elsewhere, when its heartbeat is older than ``EXPIRES_AFTER`` (clocks may differ
by a minute). A lease is released when the photo's record is written.
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
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.io.locations import Location, Missing
from gramgan_cli.core.io.locks import exclusive, is_held

FOLDER, WORKERS = "_leases", "_workers"
"""Subfolders of the records folder."""

HEARTBEAT_EVERY = 30.0
"""Seconds between heartbeats."""

EXPIRES_AFTER = 180.0
"""Seconds from the last heartbeat until an owner's leases expire."""

_LOOKS = 5
"""Number of retries for a lease that can neither be created nor read."""


@dataclass(frozen=True)
class Lease:
    """A lease held by this worker."""

    key: str
    number: int
    """1 plus the number of expired leases before it."""
    existed: bool
    """Whether a file that may not be a result of these runs was at the result's location before any worker started."""

    @property
    def deaths(self) -> int:
        """Number of owners that died while working on the photo."""
        return self.number - 1


def key_of(result: str) -> str:
    """File name of the lease for a result, given its ``Job.key``."""
    return hashlib.sha256(result.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def leased_keys(records: Location) -> Counter[str]:
    """Keys of all existing leases, valid and expired, each with the number of its leases."""
    return Counter(file.name.partition(".")[0] for file in (records / FOLDER).files())


def release(records: Location, leases: Iterable[tuple[str, int]]) -> None:
    """Delete leases, given as (key, number), and their predecessors."""
    (records / FOLDER).remove(f"{key}.{number}" for key, last in leases for number in range(last, 0, -1))


def give_back(records: Location, lease: Lease) -> None:
    """Delete only this lease. Its predecessors stay, since they count the deaths of workers."""
    (records / FOLDER).remove([f"{lease.key}.{lease.number}"])


def _lock_file(owner: str) -> Path:
    """Lock file of an owner, in a folder per user, since others' folders aren't writable; others use heartbeats."""
    user = f"-{os.getuid()}" if sys.platform != "win32" else ""
    return Path(tempfile.gettempdir()) / f"gramgan-workers{user}" / f"{owner}.lock"


class Heartbeat:
    """Heartbeat of a worker, or of a run on behalf of its workers, until it is closed or its process ends."""

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
        """Stop the heartbeat, so that all leases of the owner expire."""
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
                # Storage may be unavailable for a moment. The next heartbeat follows soon, and leases outlast several.
                continue


class Holder:
    """Takes leases for one worker.

    Args:
        records: records folder.
        run: owner of the run's own heartbeat. While the run is alive, other runs treat its workers' leases as valid
            even if the workers died: the run repeats their photos, and records of finished ones may not be written yet.
        made_with: model and options of this worker's results, as text.
    """

    def __init__(self, records: Location, run: str, made_with: str = "") -> None:
        self._records, self._run, self._made_with = records, run, made_with
        self._mine = Heartbeat(records)

    def close(self) -> None:
        """Let the remaining leases expire, unless the run keeps them valid."""
        self._mine.close()

    def take(self, key: str, existed: bool) -> Lease | None:
        """Take the lease of a result; None if a living worker has it.

        Args:
            key: key from ``key_of``.
            existed: whether there is a file at the result's location now.

        Raises:
            GramganError: the lease's file can't be read.
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
                if unreadable > _LOOKS:  # a dangling link
                    raise GramganError(
                        f"{file.text} can't be read.", "Delete it: it only records which worker has a photo."
                    ) from error
                number = 1  # released meanwhile
                continue
            except GramganError as error:  # not a regular file
                raise GramganError(error.message, "Delete it: it only records which worker has a photo.") from error
            if before.get("owner") != self._mine.owner and is_valid(self._records, before, self._run):
                return None
            # A result begun with other weights or options must not be taken for this run's.
            existed = bool(before.get("existed", True)) if before.get("made_with") == self._made_with else existed
            number += 1


def clear_old_heartbeats(records: Location) -> None:
    """Delete heartbeats that are older than a day."""
    folder = records / WORKERS
    day_ago = time.time() - 86_400
    old = []
    for file in folder.files():
        with suppress(Missing):  # its owner ended meanwhile
            if _time(content_of(file)) < day_ago:
                old.append(file.name)
    folder.remove(old)


def is_leased(records: Location, key: str) -> bool:
    """Whether a living worker has the lease of a result."""
    last: dict[str, Any] | None = None
    number = 1
    while True:
        try:
            last = content_of(records / f"{FOLDER}/{key}.{number}")
        except Missing:
            return last is not None and is_valid(records, last)
        number += 1


def content_of(file: Location) -> dict[str, Any]:
    """Read a lease or heartbeat; {} if it stays empty because its owner died while writing it."""
    for pause in (0.0, 1.0):
        time.sleep(pause)
        try:
            document = json.loads(file.read())
        except (ValueError, RecursionError):
            continue
        return document if isinstance(document, dict) else {}
    return {}


def _time(heartbeat: dict[str, Any]) -> float:
    """Time of a heartbeat in seconds since 1970; 0 if damaged."""
    value = heartbeat.get("time", 0)
    return float(value) if isinstance(value, int | float) else 0.0


def is_valid(records: Location, lease: dict[str, Any], run: str | None = None) -> bool:
    """Whether the lease's owner is alive or, unless it belongs to ``run``, the owner's run."""
    speakers = [lease.get("owner"), lease.get("run") if lease.get("run") != run else None]
    return any(lives(records, speaker) for speaker in speakers if isinstance(speaker, str))


def lives(records: Location, owner: str) -> bool:
    """Whether the owner of a heartbeat is alive, by its lock on this computer or its last heartbeat."""
    if not re.fullmatch(r"[\w.-]+", owner):  # a damaged lease
        return False
    if owner.startswith(f"{socket.gethostname()}-") and _lock_file(owner).is_file():
        return is_held(_lock_file(owner))
    try:
        heartbeat = content_of(records / f"{WORKERS}/{owner}")
    except (Missing, ValueError):
        return False
    return time.time() - _time(heartbeat) < EXPIRES_AFTER
