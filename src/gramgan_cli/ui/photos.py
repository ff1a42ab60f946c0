"""The photos that the page shows: uploads in a folder that goes at the end, and files that lie on this computer."""

from __future__ import annotations

import io
import secrets
import shutil
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gramgan_cli.core.errors import GramganError
from gramgan_cli.core.images.photo import Photo
from gramgan_cli.core.images.read import open_photo
from gramgan_cli.core.metrics.damage import Damage, estimate_damage

Array = NDArray[Any]

LARGEST_UPLOAD = 2**31
"""Bytes of one dropped photo. Larger files are opened where they lie, which copies nothing."""

OVERVIEW_SIDE = 1200
"""Pixels of the longer side of the picture that the crop is chosen in."""

DECODED = 2
"""Decoded photos that are kept: the one that is shown and the one before."""

LONGEST_NAME = 200
"""Characters that are kept of an upload's name."""


@dataclass(frozen=True)
class PhotoFacts:
    """One photo that is open in the page."""

    key: str
    """What addresses call it."""
    name: str
    """Its file name."""
    path: Path
    uploaded: bool
    """Whether it is a copy that is deleted at the end."""
    width: int
    height: int
    format: str
    frames: int
    warnings: tuple[str, ...]
    damage: Damage
    """Noise and blocks, estimated."""


class Library:
    """All photos that are open, by key.

    Args:
        folder: where uploads are kept, each in a folder of its own, so that they keep their names.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._photos: dict[str, PhotoFacts] = {}
        self._decoded: OrderedDict[str, tuple[Array, bytes | None]] = OrderedDict()
        self._lock = threading.Lock()

    def all(self) -> list[PhotoFacts]:
        """The photos, in the order in which they were opened."""
        return list(self._photos.values())

    def get(self, key: str) -> PhotoFacts:
        """The photo of that key. Raises GramganError where it has been closed."""
        try:
            return self._photos[key]
        except KeyError:
            raise GramganError("This photo is not open any more.", "Open it again.") from None

    def upload_path(self, name: str) -> tuple[str, Path]:
        """A key and an empty place for a file of that name; whatever folders the name has are left out."""
        key = secrets.token_hex(8)
        own = Path(name.replace("\\", "/")).name.replace("\0", "").strip() or "photo"
        stem, suffix = Path(own).stem[:LONGEST_NAME], Path(own).suffix[:10]
        folder = self._folder / key
        folder.mkdir(parents=True)
        return key, folder / (stem.lstrip(".") + suffix)

    def add(self, path: Path, key: str | None = None) -> PhotoFacts:
        """Open a photo; with the key of ``upload_path``, an upload. Raises GramganError for what can't be read."""
        uploaded = key is not None
        try:
            photo = open_photo(path.read_bytes(), path.name if uploaded else str(path))
        except OSError as error:
            raise GramganError(f"Can't read {path}: {error.strerror or error}.", "Check that it is there.") from error
        frame = photo.frames[0]
        key = key or secrets.token_hex(8)
        pixels, _ = self._decode(key, photo)
        facts = PhotoFacts(
            key,
            path.name,
            path,
            uploaded,
            frame.width,
            frame.height,
            photo.format,
            len(photo.frames),
            photo.warnings,
            estimate_damage(pixels),
        )
        self._photos[facts.key] = facts
        return facts

    def close(self, key: str) -> None:
        """Forget a photo; an upload's file goes."""
        facts = self._photos.pop(key, None)
        self._decoded.pop(key, None)
        if facts is not None and facts.uploaded:
            self.discard(key)

    def discard(self, key: str) -> None:
        """Delete an upload's folder."""
        shutil.rmtree(self._folder / key, ignore_errors=True)

    def pixels(self, key: str) -> tuple[Array, bytes | None]:
        """(H, W, C) of the first frame, and its colour profile."""
        facts = self.get(key)
        with self._lock:
            if key in self._decoded:
                self._decoded.move_to_end(key)
                return self._decoded[key]
        return self._decode(key, open_photo(facts.path.read_bytes(), facts.name))

    def _decode(self, key: str, photo: Photo) -> tuple[Array, bytes | None]:
        pixels = next(iter(photo.decode())), photo.metadata.icc
        with self._lock:
            self._decoded[key] = pixels
            while len(self._decoded) > DECODED:
                self._decoded.popitem(last=False)
        return pixels


def shown(image: Array) -> Image.Image:
    """(H, W, C) of any sample type as a picture of 8 bits, for the screen."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    elif image.dtype == np.float32:
        image = (np.clip(np.nan_to_num(image), 0, 1) * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else np.ascontiguousarray(image))


def as_png(image: Array, icc: bytes | None) -> bytes:
    """A PNG for the screen, with the photo's colour profile."""
    file = io.BytesIO()
    shown(image).save(file, "PNG", compress_level=1, icc_profile=icc)
    return file.getvalue()


def as_overview(image: Array, icc: bytes | None) -> bytes:
    """A small JPEG of the whole photo; transparency is laid on white."""
    picture = shown(image[:: _step(image), :: _step(image)])
    picture.thumbnail((OVERVIEW_SIDE, OVERVIEW_SIDE))
    if picture.mode in ("RGBA", "LA"):
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85, icc_profile=icc)
    return file.getvalue()


def _step(image: Array) -> int:
    """Every how manieth pixel is enough for the overview, with twice its size left to average over."""
    return max(1, int(max(image.shape[:2])) // (2 * OVERVIEW_SIDE))
