"""Photos open in the web interface: uploads in a temporary folder, and files on this computer."""

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
"""Largest upload in bytes. Larger files can be opened from their folder, without a copy."""

OVERVIEW_SIDE = 1200
"""Longer side, in pixels, of the overview in which the crop is chosen."""

DECODED = 2
"""Number of decoded photos kept in memory: the current one and the one before."""

LONGEST_NAME = 200
"""Most characters kept of an upload's name."""


@dataclass(frozen=True)
class PhotoFacts:
    """A photo that is open in the web interface."""

    key: str
    """Identifier in URLs."""
    name: str
    """File name."""
    path: Path
    uploaded: bool
    """Whether it is an uploaded copy, which is deleted at the end."""
    width: int
    height: int
    format: str
    frames: int
    warnings: tuple[str, ...]
    damage: Damage
    """Estimated noise, blocking and sharpness."""


class Library:
    """All open photos, by key.

    Args:
        folder: folder for uploads, each in its own subfolder to keep its name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._photos: dict[str, PhotoFacts] = {}
        self._decoded: OrderedDict[str, tuple[Array, bytes | None]] = OrderedDict()
        self._lock = threading.Lock()

    def all(self) -> list[PhotoFacts]:
        """All photos, in the order in which they were opened."""
        return list(self._photos.values())

    def get(self, key: str) -> PhotoFacts:
        """The photo with a key. Raises GramganError if it is not open."""
        try:
            return self._photos[key]
        except KeyError:
            raise GramganError("This photo is no longer open.", "Open it again.") from None

    def upload_path(self, name: str) -> tuple[str, Path]:
        """A new key, and a path in a new folder for an upload of that name; folders in the name are dropped."""
        key = secrets.token_hex(8)
        own = Path(name.replace("\\", "/")).name.replace("\0", "").strip() or "photo"
        stem, suffix = Path(own).stem[:LONGEST_NAME], Path(own).suffix[:10]
        folder = self._folder / key
        folder.mkdir(parents=True)
        return key, folder / (stem.lstrip(".") + suffix)

    def add(self, path: Path, key: str | None = None) -> PhotoFacts:
        """Open a photo, or an upload with its key from ``upload_path``. Raises GramganError if it can't be read."""
        uploaded = key is not None
        try:
            photo = open_photo(path.read_bytes(), path.name if uploaded else str(path))
        except OSError as error:
            raise GramganError(f"Can't read {path}: {error.strerror or error}.", "Check that it exists.") from error
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
        """Close a photo; an upload is deleted."""
        facts = self._photos.pop(key, None)
        self._decoded.pop(key, None)
        if facts is not None and facts.uploaded:
            self.discard(key)

    def discard(self, key: str) -> None:
        """Delete an upload's folder."""
        shutil.rmtree(self._folder / key, ignore_errors=True)

    def pixels(self, key: str) -> tuple[Array, bytes | None]:
        """Pixels (H, W, C) of the first frame, and its ICC profile."""
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
    """Convert (H, W, C) of any dtype to an 8-bit picture for the screen."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    elif image.dtype == np.float32:
        image = (np.clip(np.nan_to_num(image), 0, 1) * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else np.ascontiguousarray(image))


def as_png(image: Array, icc: bytes | None) -> bytes:
    """Encode an 8-bit PNG for the screen, with the photo's ICC profile."""
    file = io.BytesIO()
    shown(image).save(file, "PNG", compress_level=1, icc_profile=icc)
    return file.getvalue()


def as_overview(image: Array, icc: bytes | None) -> bytes:
    """Encode a small JPEG of the whole photo, with transparency on white."""
    picture = shown(image[:: _step(image), :: _step(image)])
    picture.thumbnail((OVERVIEW_SIDE, OVERVIEW_SIDE))
    if picture.mode in ("RGBA", "LA"):
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85, icc_profile=icc)
    return file.getvalue()


def _step(image: Array) -> int:
    """Subsampling step for the overview that leaves at least twice its size to average over."""
    return max(1, int(max(image.shape[:2])) // (2 * OVERVIEW_SIDE))
