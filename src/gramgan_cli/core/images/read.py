"""Opening image files: the format is recognised and checked before any pixel is decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from gramgan_cli.core.errors import GramganError, ImageDamaged, ImageTooLarge, ImageUnsupported, MissingExtra
from gramgan_cli.core.images.formats import jxl
from gramgan_cli.core.images.formats.bmp import open_bmp
from gramgan_cli.core.images.formats.gif import open_gif
from gramgan_cli.core.images.formats.heif import open_avif, open_heic
from gramgan_cli.core.images.formats.jpeg import open_jpeg
from gramgan_cli.core.images.formats.netpbm import open_netpbm
from gramgan_cli.core.images.formats.pillow import set_leniency
from gramgan_cli.core.images.formats.png.read import open_png
from gramgan_cli.core.images.formats.tiff.read import open_tiff
from gramgan_cli.core.images.formats.webp import open_webp
from gramgan_cli.core.images.kinds import DEVELOP_RAW, EXTRAS, kind_of_bytes
from gramgan_cli.core.images.limits import too_large
from gramgan_cli.core.images.photo import Frame, Photo, Unreadable, Unsupported

Array = NDArray[Any]
T = TypeVar("T")

Opener = Callable[[bytes, str, bool], Photo]
"""Takes a file's bytes, its name, and whether to read damaged files as far as possible."""

OPENERS: dict[str, Opener] = {
    "png": open_png,
    "tiff": open_tiff,
    "jxl": jxl.open_jxl,
    "jpg": open_jpeg,
    "gif": open_gif,
    "webp": open_webp,
    "bmp": open_bmp,
    "ppm": open_netpbm,
    "avif": open_avif,
    "heic": open_heic,
}
"""Reader of each format, by ``Photo.format``."""


def open_photo(data: bytes, name: str, allow_truncated: bool = False) -> Photo:
    """Open the image in ``data``.

    Args:
        data: the whole file.
        name: name for messages: the path, or 'standard input'.
        allow_truncated: read damaged or truncated files as far as possible, with a warning.

    Raises:
        ImageUnsupported: the file is not an image of a supported format.
        ImageDamaged: the file can't be decoded.
        ImageTooLarge: the image does not fit into memory, or its header states an absurd size.
    """
    if not data:
        raise ImageDamaged(f"{name} is empty (zero bytes).", "Copy it again from its source.")
    open_it = OPENERS[_readable_kind(data, name)]
    if not allow_truncated:
        return _opened(open_it, data, _Guarded(name, lambda: _is_readable(open_it, data, name)), lenient=False)
    try:
        photo = _opened(open_it, data, _Guarded(name), lenient=False)
        deque(photo.decode(), maxlen=0)
    except GramganError:
        photo = _opened(open_it, data, _Guarded(name), lenient=True)
        return replace(photo, warnings=(*photo.warnings, "It is damaged or cut off: only the readable part was used."))
    return photo


def _opened(open_it: Opener, data: bytes, guarded: _Guarded, lenient: bool) -> Photo:
    photo = guarded.run(lambda: open_it(data, guarded.name, lenient))
    return replace(photo, decode=lambda: guarded.iterate(photo))


def _is_readable(open_it: Opener, data: bytes, name: str) -> bool:
    """Return whether a damaged file can be read in part."""
    try:
        deque(_opened(open_it, data, _Guarded(name), lenient=True).decode(), maxlen=0)
    except GramganError:
        return False
    finally:
        set_leniency(False)
    return True


def _readable_kind(data: bytes, name: str) -> str:
    """Return the file's format; raise GramganError if it can't be read."""
    kind = kind_of_bytes(data)
    if kind is not None and kind.read:
        return kind.name
    if kind is not None and kind.name in EXTRAS:
        extra = EXTRAS[kind.name][0]
        raise MissingExtra(f"{name} is a {kind.label} image, and the package that reads these is not installed.", extra)
    reads = "gramgan reads PNG, JPEG, WebP, TIFF, GIF, BMP, PPM, AVIF and, with their extras, HEIC and JPEG XL."
    if kind is not None:
        hint = DEVELOP_RAW if kind.name == "raw" else reads
        raise ImageUnsupported(f"{name} is in a format that gramgan does not read: {kind.label}.", hint)
    raise ImageUnsupported(f"{name} is not an image that gramgan can read.", reads)


@dataclass(frozen=True)
class _Guarded:
    """Runs decoders, which may raise anything for damaged files, and converts their errors to ``GramganError``."""

    name: str
    in_part: Callable[[], bool] = lambda: False
    """Returns whether the damaged file can be read in part."""

    def run(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except GramganError:
            raise
        except Exception as error:
            raise self._explained(error) from error

    def iterate(self, photo: Photo) -> Iterator[Array]:
        """Yield each frame, after checking it against the header."""
        arrays = photo.decode()
        for frame in photo.frames:
            yield self.run(lambda frame=frame: _as_announced(next(arrays, None), frame))  # type: ignore[misc]

    def _explained(self, error: Exception) -> GramganError:
        if isinstance(error, MemoryError):
            hint = "Close other programs, or make the image smaller."
            return ImageTooLarge(f"{self.name} does not fit into memory.", hint)
        if isinstance(error, Image.DecompressionBombError):
            return too_large(self.name)
        if str(error).startswith("Unsupported BMP"):  # Pillow's message for headers, depths and compressions
            error = Unsupported(" ".join(str(error).split())[12:160])
        if isinstance(error, Unsupported):
            return ImageUnsupported(f"{self.name} is in a format that gramgan does not read: {error}.", error.hint)
        if isinstance(error, UnidentifiedImageError):
            error = Unreadable("its header is invalid")
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        readable = self.in_part()
        hint = "Copy it again from its source." + " Or use `allow_truncated` to read what is left of it." * readable
        return ImageDamaged(f"{self.name} is damaged or cut off ({reason[:160]}).", hint)


def _as_announced(array: Array | None, frame: Frame) -> Array:
    if array is None or array.shape != (frame.height, frame.width, frame.channels) or array.dtype != frame.dtype:
        raise Unreadable("its pixels do not match its header")
    return array
