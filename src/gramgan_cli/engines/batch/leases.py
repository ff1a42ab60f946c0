"""Claims: of several workers, of one run or of many, exactly one works on a photo.

A claim is a file that exactly one worker can create. What its owner leaves behind when it dies is taken over: by a
second claim of the same photo with the next number, which again exactly one can create. An owner on this computer is
dead when the lock that it held is free; one elsewhere when its sign of life is older than ``LEASE`` (clocks may differ
by a minute). A claim goes when the photo's record is written.
"""

from __future__ import annotations

import hashlib
import json
import os
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
from gramgan_cli.core.io.locations import Missing, Place
from gramgan_cli.core.io.locks import exclusive, is_held

FOLDER, WORKERS = "_claims", "_workers"
"""Folders inside the folder of records."""

SIGN_EVERY = 30.0
"""Seconds between two signs of life."""

LEASE = 180.0
"""Seconds after the last sign of life at which an owner counts as dead."""


@dataclass(frozen=True)
class Claim:
    """A photo that is ours to work on."""

    key: str
    number: int
    """1, or one more than the claims that dead owners left."""
    existed: bool
    """Whether something was at the result's place before anybody worked on the photo."""

    @property
    def deaths(self) -> int:
        """How many owners died over the photo."""
        return self.number - 1


def key_of(photo: str) -> str:
    """A file name for the claim of a photo."""
    return hashlib.sha256(photo.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def claimed_keys(records: Place) -> set[str]:
    """The keys of all claims that are there, living and dead."""
    return {file.name.partition(".")[0] for file in (records / FOLDER).files()}


def release(records: Place, claims: Iterable[tuple[str, int]]) -> None:
    """Delete claims, (key, number), with those before them."""
    (records / FOLDER).remove(f"{key}.{number}" for key, last in claims for number in range(last, 0, -1))


def _lock_file(owner: str) -> Path:
    """In a folder of the person's own, since one that another made can't be written to: others tell by the signs."""
    user = f"-{os.getuid()}" if sys.platform != "win32" else ""
    return Path(tempfile.gettempdir()) / f"gramgan-workers{user}" / f"{owner}.lock"


class Sign:
    """The sign of life of a worker, or of the run that speaks for workers; until it is closed or its process ends."""

    def __init__(self, records: Place) -> None:
        self._records = records
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._held = ExitStack()
        self._held.enter_context(exclusive(_lock_file(self.owner)))
        self._closing = threading.Event()
        self._sign()
        self._thread = threading.Thread(target=self._keep_signing, name="signs of life", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Be dead."""
        self._closing.set()
        self._thread.join()
        self._held.close()
        _lock_file(self.owner).unlink(missing_ok=True)
        (self._records / WORKERS).remove([self.owner])

    def _sign(self) -> None:
        (self._records / f"{WORKERS}/{self.owner}").write(json.dumps({"time": time.time()}).encode())

    def _keep_signing(self) -> None:
        while not self._closing.wait(SIGN_EVERY):
            try:
                self._sign()
            except GramganError:
                # A store that is away for a moment: the next sign comes soon, and the lease covers several.
                continue


class Claimant:
    """One worker that claims photos.

    Args:
        records: folder of records.
        run: the run's own sign of life. While the run lives, its workers' claims are theirs for all other runs, dead
            or not: it repeats what they left, and its records of what they finished may still be on their way.
    """

    def __init__(self, records: Place, run: str) -> None:
        self._records, self._run, self._mine = records, run, Sign(records)

    def close(self) -> None:
        """Give up whatever is still claimed, as far as the run does not speak for it."""
        self._mine.close()

    def take(self, key: str, existed: bool) -> Claim | None:
        """The claim of a photo, or None where a living worker has it.

        Args:
            key: from ``key_of``.
            existed: whether something is at the result's place now.
        """
        number = 1
        while True:
            file = self._records / f"{FOLDER}/{key}.{number}"
            mine = json.dumps({"owner": self._mine.owner, "run": self._run, "existed": existed}).encode()
            if file.create(mine):
                return Claim(key, number, existed)
            try:
                before = _said(file)
            except Missing:
                number = 1  # released this moment
                continue
            if before.get("owner") != self._mine.owner and is_alive(self._records, before, self._run):
                return None
            existed = bool(before.get("existed", True))
            number += 1


def clear_old_signs(records: Place) -> None:
    """Delete the signs of life of workers that are long dead."""
    folder = records / WORKERS
    day_ago = time.time() - 86_400
    old = []
    for file in folder.files():
        with suppress(Missing):  # its owner has just ended
            if float(_said(file).get("time", 0)) < day_ago:
                old.append(file.name)
    folder.remove(old)


def is_taken(records: Place, key: str) -> bool:
    """Whether a living worker has the photo."""
    last: dict[str, Any] | None = None
    number = 1
    while True:
        try:
            last = _said(records / f"{FOLDER}/{key}.{number}")
        except Missing:
            return last is not None and is_alive(records, last)
        number += 1


def _said(file: Place) -> dict[str, Any]:
    """What a claim or a sign of life says. One that stays empty was left by an owner that died over it: {}."""
    for pause in (0.0, 1.0):
        time.sleep(pause)
        try:
            document = json.loads(file.read())
        except ValueError:
            continue
        return document if isinstance(document, dict) else {}
    return {}


def is_alive(records: Place, claim: dict[str, Any], run: str | None = None) -> bool:
    """Whether a claim is held, by its owner or, for all but the workers of its own ``run``, by the run."""
    speakers = [claim.get("owner"), claim.get("run") if claim.get("run") != run else None]
    return any(_lives(records, speaker) for speaker in speakers if speaker is not None)


def _lives(records: Place, owner: str) -> bool:
    """Whether the owner of a sign lives, as far as can be told from here."""
    if owner.startswith(f"{socket.gethostname()}-") and _lock_file(owner).is_file():
        return is_held(_lock_file(owner))
    try:
        sign = _said(records / f"{WORKERS}/{owner}")
    except Missing:
        return False
    return time.time() - float(sign.get("time", 0)) < LEASE
